"""One hub that is parted from Valkey while the others go on: it says so, waits, and catches up."""

from __future__ import annotations

from pathlib import Path
from random import Random

import trio
from adohub_redis.testing import partition, valkey

from tests.cluster.hubs import READY, UNREADY, cluster, noticed
from tests.cluster.witness import Author, Listener, Witness, acknowledged, epochs

SOME = 50
"""How many events are enough to see that something goes on."""


async def test_a_hub_parted_from_valkey_is_not_ready_and_gives_what_it_missed_once_it_is_healed(
    tmp_path: Path, chance: Random
) -> None:
    witness = Witness()
    listeners = [Listener(witness) for _ in range(3)]
    within, beyond = [Author(name, chance) for name in "ab"], Author("c", chance)
    parted = [Author("d", chance), Author("e", chance, fickle=True)]
    async with (
        valkey(tmp_path / "valkey") as server,
        partition(server.port) as link,
        cluster(tmp_path, server.url_at(link.port), *2 * [server.url]) as hubs,
        trio.open_nursery() as listening,
    ):
        alone, *others = hubs
        for listener, hub in zip(listeners, hubs, strict=True):
            await listening.start(listener.listen, hub.url)
        async with trio.open_nursery() as writing:
            for author, hub in zip(within, others, strict=True):
                writing.start_soon(author.write, hub.url)
            await listeners[0].until(lambda heard: len(heard) >= SOME)

            link.stop_forwarding()
            await noticed([alone], UNREADY)
            for author in parted:
                writing.start_soon(author.write, alone.url)
            for author in parted:
                await author.until_refused()
            for author in within:
                await author.until_acknowledged(SOME)
            assert [await hub.readiness() for hub in others] == [READY, READY]
            assert len(listeners[0].heard) < min(len(listener.heard) for listener in listeners[1:])

            link.heal()
            await noticed([alone], READY)
            writing.start_soon(beyond.write, alone.url)
            for author in [*within, *parted, beyond]:
                await author.until_acknowledged(SOME)
                author.finish()
        ids = await witness.history(hubs)
        assert len(epochs(ids)) == 1
        authors = [*within, *parted, beyond]
        witness.check_once(ids, acknowledged(authors))
        assert {code for author in parted for code, _ in author.refusals} == {"SERVICE_UNAVAILABLE"}
        assert [author.refusals for author in within] == [[], []]
        for listener in listeners:
            await listener.until(lambda heard: len(heard) >= len(ids))
            assert listener.heard == ids
        listening.cancel_scope.cancel()
