"""Whatever steps are drawn, everybody comes and goes by turns, and is announced so."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
import trio
import trio.testing

from adohub.errors import PeerError, StorageError
from tests.hub.neighbours import GRACE_S, Crew, Visit, a_crew

LONG_S = 4 * GRACE_S


@pytest.fixture
def anyio_backend() -> object:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


STEPS = 60


async def some_step(crew: Crew, chance: Random, visits: list[Visit]) -> None:
    """Somebody comes or goes, or a hub dies, is cut off, is missed or is back."""
    name = chance.choice(
        [name for name, hub in crew.hubs.items() if not hub.nursery.cancel_scope.cancel_called]
    )
    hub = crew.hubs[name]
    match chance.choice(["come", "come", "come", "go", "go", "order", "cut", "back", "back", "kill"]):
        case "come":
            with trio.move_on_after(chance.choice([0.001, 10])):
                with suppress(PeerError, StorageError):
                    visits.append(await hub.attend(chance.choice(["anna", "ben"])))
        case "go" if visits:
            visits.pop(chance.randrange(len(visits))).leave()
        case "order":
            await crew.order(chance.choice(["anna", "ben"]), 1)
        case "cut":
            hub.link.cut()
            if chance.random() < 0.5:
                crew.miss(name)
        case "back":
            hub.link.heal()
            crew.hear(name)
        case "kill":
            hub.kill()
            crew.miss(name)
            await crew.start(f"{name}+")


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_everybody_comes_and_goes_by_turns(seed: int) -> None:
    async with a_crew("a", "b", "c") as crew:
        chance, visits = Random(seed), list[Visit]()
        for _ in range(STEPS):
            await some_step(crew, chance, visits)
            await trio.sleep(chance.choice([0, 0.001, 0.01, 1, GRACE_S, LONG_S]))
        for visit in visits:
            visit.leave()
        for name, hub in crew.hubs.items():
            hub.kill()
            crew.miss(name)
        last = await crew.start("last")
        await trio.sleep(LONG_S)
        told = await crew.told()
        for who in ("anna", "ben"):
            turns = [sign for sign in told if sign[1:] == who]
            assert turns == ([f"+{who}", f"-{who}"] * len(turns))[: len(turns)], told
            assert len(turns) % 2 == 0
        assert (await crew.kept(), last.present) == ([], [])
