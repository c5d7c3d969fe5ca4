"""Positions of another hub and of an earlier epoch: which are confirmed, and where they go on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from attrs import evolve

from adohub.errors import PeerError, StorageError
from adohub.hub.cohort import Interest
from adohub.hub.journal import Journal
from adohub.model import PARTIAL, OnGap, Position
from adohub.plugin.storage import Located, StorageSettings
from tests.hub.breaking import BreakingStorage
from tests.hub.making import SETTINGS, Peer, draft
from tests.hub.worlds import STATE, STATE_SETTINGS, WILD, World, at_work, shown


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with at_work(BreakingStorage(STATE_SETTINGS)) as world:
        yield world


# ── positions that another hub gave ──────────────────────────────────────────────────────────────────


class Sharing(BreakingStorage):
    """Of its events others have heard first; `confirm` waits until they are here, or says what `confirms`."""

    def __init__(self, settings: StorageSettings = SETTINGS) -> None:
        super().__init__(settings)
        self.answered = trio.Event()
        self.refusal: StorageError | None = None

    def locate(self, seen: Position) -> Located:
        return Located(seen, True, certain=False) if seen > self.head() else super().locate(seen)

    async def confirm(self, seen: Position) -> Located:
        await self.answered.wait()
        if self.refusal is not None:
            raise self.refusal
        located = self.locate(seen)
        return located if located.certain else Located(self.tail(), whole=False)


@pytest.fixture
async def shared() -> AsyncIterator[World]:
    async with at_work(Sharing()) as world:
        await world.publish(draft("t", "a"))
        yield world


def ahead(world: World, offset: int) -> str:
    return str(Position(world.storage.head().epoch, offset))


async def resumed(world: World, event_id: str, on_gap: OnGap = "continue", wanted: Interest = WILD) -> Peer:
    peer = world.peer()
    resumption = world.hub.journal.locate(event_id)
    assert (resumption.recovered, resumption.certain) == (True, False)
    world.hub.cursor(peer, wanted, on_gap=on_gap).resume(resumption)
    await trio.testing.wait_all_tasks_blocked()
    return peer


def answer(world: World, refusal: StorageError | None = None) -> None:
    assert isinstance(world.storage, Sharing)
    world.storage.refusal = refusal
    world.storage.answered.set()


async def test_a_position_that_is_confirmed_goes_on_after_it(shared: World) -> None:
    peer = await resumed(shared, ahead(shared, 2))
    await shared.publish(draft("t"))
    [third] = await shared.publish(draft("t"))
    assert peer.ids == []
    answer(shared)
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, peer.gaps, shared.gaps) == ([third], [], 0)


async def test_the_rest_of_a_snapshot_comes_once_its_position_is_confirmed() -> None:
    async with at_work(Sharing(STATE_SETTINGS)) as world:
        peer = await resumed(world, ahead(world, 1) + PARTIAL, wanted=STATE)
        await world.publish(draft("state", "a", n=1), draft("state", "b", n=2))
        answer(world)
        await trio.testing.wait_all_tasks_blocked()
        assert (shown(peer), peer.gaps) == (["2", "synced"], [])


async def test_a_position_that_nobody_knows_is_a_gap_discovered_late(shared: World) -> None:
    peer = await resumed(shared, ahead(shared, 9))
    answer(shared)
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, peer.gaps, shared.gaps) == ([ahead(shared, 1)], [0], 1)


async def test_a_position_of_an_epoch_that_this_hub_has_not_heard_of_waits_for_it(shared: World) -> None:
    later = str(Position(f"{shared.storage.head().epoch}0", 1))
    peer = await resumed(shared, later)
    await shared.fail_over()
    [second] = await shared.publish(draft("t"))
    answer(shared)
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, peer.gaps) == ([second], [])


async def test_a_late_gap_fails_the_subscription_that_wants_none(shared: World) -> None:
    peer = await resumed(shared, ahead(shared, 9), on_gap="error")
    answer(shared)
    await trio.testing.wait_all_tasks_blocked()
    [failure] = shared.failures
    assert isinstance(failure, PeerError)
    assert (failure.code, peer.ids, shared.gaps) == ("PRECONDITION_FAILED", [], 1)


async def test_a_position_that_cannot_be_confirmed_fails_as_a_replay_does(shared: World) -> None:
    peer = await resumed(shared, ahead(shared, 2))
    answer(shared, StorageError("nobody answers"))
    await trio.testing.wait_all_tasks_blocked()
    assert (list(map(str, shared.failures)), peer.ids) == (["nobody answers"], [])


# ── locating ─────────────────────────────────────────────────────────────────────────────────────────


async def test_an_id_of_the_epoch_before_goes_on_in_this_one_where_that_is_known(world: World) -> None:
    ids = await world.publish(draft("t", "a"), draft("t", "b"), draft("t", "c"))
    await world.fail_over()
    found = world.hub.journal.locate(ids[1])
    epoch = world.storage.head().epoch
    assert (found.position, found.recovered) == (Position(epoch, 2), False)
    peer = world.peer()
    world.hub.cursor(peer, WILD).resume(found)
    await trio.testing.wait_all_tasks_blocked()
    assert peer.ids == [str(Position(epoch, 3))]


async def test_an_id_of_what_storage_has_lost_in_this_very_epoch_goes_on_before_that(world: World) -> None:
    ids = await world.publish(draft("t", "a"), draft("t", "b"), draft("t", "c"), draft("t", "d"))
    after = Position(world.storage.head().epoch, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.storage, "locate", lambda seen: Located(after, whole=False))
        found = world.hub.journal.locate(ids[2])
    peer = world.peer()
    world.hub.cursor(peer, WILD).resume(found)
    await trio.testing.wait_all_tasks_blocked()
    assert (found.recovered, peer.ids) == (False, ids[2:])


async def test_an_id_from_before_a_flush_shows_also_the_newest_beyond_history() -> None:
    async with at_work(BreakingStorage(evolve(SETTINGS, max_events=2))) as world:
        [*_, old] = [(await world.publish(draft("t", "z")))[0] for _ in range(5)]
        await world.flush()
        ids = [(await world.publish(draft("t", key)))[0] for key in "abcd"]
        peer = world.peer()
        world.hub.cursor(peer, WILD).resume(world.hub.journal.locate(old))
        await trio.testing.wait_all_tasks_blocked()
        assert peer.ids == ids


async def test_an_id_whose_event_a_failover_has_lost_goes_on_with_what_comes(world: World) -> None:
    ids = await world.publish(draft("t", "a"), draft("t", "b"), draft("t", "c"))
    await world.fail_over(lost=2)
    peer = world.peer()
    world.hub.cursor(peer, WILD).resume(world.hub.journal.locate(ids[2]))
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, world.hub.routes.members) == ([], 1)
    assert await world.publish(draft("t")) == peer.ids


async def test_until_delivery_has_come_to_the_new_epoch_what_is_read_for_it_waits() -> None:
    storage = BreakingStorage()
    journal = Journal(storage)
    await storage.append([draft("t")])
    storage.flush()
    pages = []

    async def read() -> None:
        pages.append(await journal.read(WILD.selection, journal.head, 10))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert not pages
            before = journal.head
            journal.begin_anew()
    [page] = pages
    assert (list(page.events), page.reached) == ([], before)
