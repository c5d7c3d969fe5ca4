"""A new epoch in the middle of a subscription: what each kind of it is told, and positions of other hubs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing
from attrs import define, evolve, field

from adohub.errors import PeerError, StorageError
from adohub.hub.cohort import Interest
from adohub.hub.journal import Journal
from adohub.hub.pump import pump
from adohub.hub.recent import Recent
from adohub.model import PARTIAL, Event, OnGap, OnSlow, Position, Replay
from adohub.plugin.storage import Located, Newest, Receipt, StorageSettings
from adohub.topics import Selection
from adohub.wire.encode import View
from tests.hub.breaking import BreakingStorage
from tests.hub.making import SETTINGS, Hub, Peer, draft, interest

WILD = interest("**")
KEYED = interest("t", key="k", completes_on="end")
ENDING = interest("end", key="k", completes_on="end")
STATE = evolve(interest("state", view=View(revised=True)), synced=b'{"op":"synced"}')
STATE_SETTINGS = evolve(SETTINGS, state_keys={"state": 100})


@define(eq=False)
class World:
    """A hub at work, and a storage whose epoch can end."""

    storage: BreakingStorage
    hub: Hub
    nursery: trio.Nursery
    failures: list[Exception] = field(factory=list)

    def peer(self) -> Peer:
        peer = Peer(self.nursery)
        peer.start = lambda replay: self.nursery.start_soon(self._replay, replay)  # type: ignore[method-assign]
        return peer

    async def _replay(self, replay: Callable[[], Any]) -> None:
        try:
            await replay()
        except (PeerError, StorageError) as error:
            self.failures.append(error)

    async def subscribe(
        self,
        wanted: Interest = WILD,
        replay: Replay = "none",
        on_slow: OnSlow = "catch-up",
        on_gap: OnGap = "continue",
    ) -> Peer:
        peer = self.peer()
        self.hub.cursor(peer, wanted, on_slow, on_gap).begin(replay)
        await trio.testing.wait_all_tasks_blocked()
        return peer

    async def publish(self, *drafts: Any) -> list[str]:
        ids = await self.hub.publish(*drafts)
        await trio.testing.wait_all_tasks_blocked()
        return ids

    async def flush(self) -> None:
        self.storage.flush()
        await trio.testing.wait_all_tasks_blocked()

    async def fail_over(self, lost: int = 0) -> None:
        self.storage.fail_over(lost)
        await trio.testing.wait_all_tasks_blocked()

    @property
    def gaps(self) -> int:
        return self.hub.journal.metrics.gaps


@asynccontextmanager
async def at_work(storage: BreakingStorage) -> AsyncIterator[World]:
    hub = Hub(storage)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, hub.journal, hub.routes)
            await trio.testing.wait_all_tasks_blocked()
            yield World(storage, hub, nursery)
            nursery.cancel_scope.cancel()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with at_work(BreakingStorage(STATE_SETTINGS)) as world:
        yield world


# ── live ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_flush_who_is_live_is_told_and_gets_new_events_from_the_first(world: World) -> None:
    peer = await world.subscribe()
    old = await world.publish(draft("t"), draft("t"))
    await world.flush()
    assert (peer.gaps, world.gaps, world.hub.routes.members) == ([2], 1, 1)
    new = await world.publish(draft("t"), draft("t"))
    assert peer.ids == [*old, *new]
    assert new[0].endswith("-0000000000000001")


async def test_after_a_failover_who_is_live_goes_on_where_it_was(world: World) -> None:
    peer = await world.subscribe()
    old = await world.publish(draft("t"), draft("t"))
    await world.fail_over(lost=1)
    new = await world.publish(draft("t"))
    assert (peer.ids, peer.gaps, world.gaps) == ([*old, *new], [2], 1)
    assert new[0].endswith("-0000000000000003")


async def test_a_new_epoch_takes_no_rest_and_is_logged_once() -> None:
    with structlog.testing.capture_logs() as log:
        async with at_work(BreakingStorage()) as world:
            before = world.storage.head().epoch
            await world.flush()
            now = world.storage.head().epoch
            assert world.hub.journal.head == world.storage.head()
    assert [(one["log_level"], one["before"], one["now"]) for one in log] == [("warning", before, now)]
    assert log[0]["event"].startswith("storage began anew; ")


async def test_an_epoch_that_ends_before_delivery_begins_is_one_like_any_other() -> None:
    class Careless(BreakingStorage):
        """Follows after a position of whatever epoch."""

        def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
            return self._history.follow(after)

    storage = Careless()
    hub = Hub(storage)
    storage.flush()
    ids = await hub.publish(draft("t"))
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        hub.cursor(peer, WILD).begin("none")
        nursery.start_soon(pump, hub.journal, hub.routes)
        await trio.testing.wait_all_tasks_blocked()
        assert (peer.ids, peer.gaps) == (ids, [0])
        nursery.cancel_scope.cancel()


async def test_a_hub_that_was_given_too_little_tells_who_is_live_and_goes_on_with_what_is_left(
    world: World,
) -> None:
    peer, strict = await world.subscribe(), await world.subscribe(on_gap="error")
    old = await world.publish(draft("t"))
    world.storage.leave_out(3)
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.gaps, world.gaps, world.hub.routes.members) == ([1], 2, 1)
    new = await world.publish(draft("t"))
    assert peer.ids == [*old, *new]
    assert new[0].endswith("-0000000000000005")
    assert (strict.ids, len(world.failures)) == (old, 1)


async def test_one_break_after_another_is_told_each_time(world: World) -> None:
    peer = await world.subscribe()
    for _ in range(3):
        await world.flush()
    [new] = await world.publish(draft("t"))
    assert (peer.ids, len(peer.gaps), world.gaps) == ([new], 3, 3)


async def test_who_wants_no_gap_fails_at_the_break(world: World) -> None:
    peer = await world.subscribe(on_gap="error")
    await world.publish(draft("t"))
    await world.fail_over()
    [failure] = world.failures
    assert isinstance(failure, PeerError)
    assert (failure.code, peer.gaps, world.gaps, world.hub.routes.members) == (
        "PRECONDITION_FAILED",
        [],
        1,
        0,
    )


async def test_who_has_left_or_completed_hears_nothing_of_a_break(world: World) -> None:
    gone, done = world.peer(), await world.subscribe(KEYED)
    cursor = world.hub.cursor(gone, WILD)
    cursor.begin("none")
    cursor.leave()
    await world.publish(draft("end", "k"))
    await world.flush()
    assert (gone.gaps, done.gaps, done.over, world.gaps) == ([], [], True, 0)


# ── replaying and slow ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("on_slow", ["catch-up", "latest"])
async def test_who_is_slow_at_a_failover_loses_nothing_that_was_kept(world: World, on_slow: OnSlow) -> None:
    peer = await world.subscribe(on_slow=on_slow)
    [first] = await world.publish(draft("t", "a"))
    peer.full = True
    await world.publish(draft("t", "b"), draft("t", "c"), draft("t", "d"))
    await world.fail_over(lost=1)
    await world.publish(draft("t", "e"))
    assert peer.gaps == []
    peer.drain()
    await trio.testing.wait_all_tasks_blocked()
    epoch = world.storage.head().epoch
    assert peer.ids == [first, *(str(Position(epoch, offset)) for offset in (2, 3, 5))]
    assert (peer.gaps, world.gaps) == ([1], 1)


class Answering(BreakingStorage):
    """Fails over, if it is `armed`, while it is asked for the newest."""

    armed = False

    async def latest(self, selection: Selection) -> Newest:
        newest = await super().latest(selection)
        if self.armed:
            self.armed = False
            self.fail_over(0)
        return newest


async def test_a_break_while_who_was_slow_skips_to_the_latest_loses_nothing_that_was_kept() -> None:
    storage = Answering()
    async with at_work(storage) as world:
        peer = await world.subscribe(on_slow="latest")
        peer.full = True
        await world.publish(draft("t", "a"), draft("t", "b"))
        storage.armed = True
        peer.drain()
        await trio.testing.wait_all_tasks_blocked()
        epoch = storage.head().epoch
        assert peer.ids == [str(Position(epoch, 1)), str(Position(epoch, 2))]
        assert (peer.gaps, world.hub.routes.members) == ([0], 1)


async def test_what_was_trimmed_and_failed_over_at_once_is_one_gap() -> None:
    async with at_work(BreakingStorage(evolve(SETTINGS, max_events=3))) as world:
        peer = await world.subscribe()
        peer.full = True
        for _ in range(8):
            await world.publish(draft("t", "k"))
        world.hub.journal._recent = Recent(world.hub.journal.head)
        await world.fail_over()
        peer.drain()
        await trio.testing.wait_all_tasks_blocked()
        assert [one[-1] for one in peer.ids] == ["6", "7", "8"]
        assert (len(peer.gaps), world.gaps) == (1, 1)


async def test_trimmed_state_that_is_read_as_its_epoch_ends_is_one_gap_and_told() -> None:
    async with at_work(BreakingStorage(evolve(STATE_SETTINGS, max_events=2))) as world:
        peer = await world.subscribe(STATE)
        peer.full = True
        for number in range(5):
            await world.publish(draft("state", "k", n=number))
        world.hub.journal._recent = Recent(world.hub.journal.head)
        async with world.hub.replays.turn:
            peer.drain()
            await trio.testing.wait_all_tasks_blocked()
            await world.fail_over()
        await trio.testing.wait_all_tasks_blocked()
        assert (shown(peer), peer.gaps, world.gaps) == (["synced", "3", "4", "4", "synced"], [3], 1)


async def test_who_stops_while_it_waits_for_room_at_a_break_hears_nothing_of_it(world: World) -> None:
    peer = world.peer()
    cursor = world.hub.cursor(peer, WILD)
    cursor.begin("none")
    peer.full = True
    await world.publish(draft("t"))
    await world.flush()
    cursor.leave()
    peer.drain()
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, peer.gaps, world.gaps) == ([], [], 0)


# ── completing ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_ended_while_nobody_could_see_it_completes_after_the_break(world: World) -> None:
    peer = await world.subscribe(KEYED)
    peer.full = True
    await world.publish(draft("t", "k"))
    await world.flush()
    await world.publish(draft("end", "k"))
    peer.drain()
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, peer.stops, peer.over, peer.gaps) == ([], 1, True, [0])


async def test_an_end_that_a_flush_took_away_completes_nothing(world: World) -> None:
    peer = await world.subscribe(KEYED)
    peer.full = True
    await world.publish(draft("t", "k"), draft("end", "k"))
    await world.flush()
    peer.drain()
    await trio.testing.wait_all_tasks_blocked()
    assert (peer.over, world.hub.routes.members) == (False, 1)


# ── state ────────────────────────────────────────────────────────────────────────────────────────────


def shown(peer: Peer) -> list[str]:
    """The payloads it was given, in order: a number, or "synced"."""
    data = [one["result"]["data"] for one in peer.heard if one["result"]["type"] == "data"]
    return [str(one.get("n", one.get("op"))) for one in data]


async def test_state_is_shown_anew_after_a_failover_with_what_has_ended(world: World) -> None:
    await world.publish(draft("state", "a", n=1), draft("state", "b", n=2))
    peer = await world.subscribe(STATE)
    await world.publish(draft("state", "a", n=3)._replace(ends=("state",)), draft("state", "c", n=4))
    await world.fail_over(lost=1)
    assert shown(peer) == ["1", "2", "synced", "3", "4", "2", "3", "synced"]
    assert peer.gaps == [5]
    assert PARTIAL in peer.ids[5]
    await world.publish(draft("state", "d", n=5))
    assert shown(peer)[-1] == "5"


async def test_state_is_empty_after_a_flush_and_said_to_be_complete(world: World) -> None:
    peer = await world.subscribe(STATE)
    await world.publish(draft("state", "a", n=1))
    await world.flush()
    await world.publish(draft("state", "b", n=2))
    assert shown(peer) == ["synced", "1", "synced", "2"]
    assert peer.gaps == [2]


async def test_state_that_is_read_as_its_epoch_ends_is_read_again_and_shown_once() -> None:
    storage = Answering(STATE_SETTINGS)
    async with at_work(storage) as world:
        await world.publish(draft("state", "a", n=1))
        storage.armed = True
        peer = await world.subscribe(STATE)
        assert (shown(peer), peer.gaps) == (["1", "synced"], [])
        assert {Position.parse(one.removesuffix(PARTIAL)) for one in peer.ids} == {storage.head()}


# ── publishing ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_waits_for_storage_at_a_break_is_kept_in_the_new_epoch() -> None:
    class Slow(BreakingStorage):
        def __init__(self) -> None:
            super().__init__()
            self.gate = trio.Event()

        async def append(self, drafts: Any) -> Any:
            await self.gate.wait()
            return await super().append(drafts)

    storage = Slow()
    async with at_work(storage) as world:
        world.nursery.start_soon(world.hub.journal.keep)
        submissions = [world.hub.journal.submit([draft("t")]) for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked()
        await world.flush()
        storage.gate.set()
        epochs = {receipt.position.epoch for each in submissions for receipt in await each}
        await world.hub.journal.quiet()
        assert epochs == {storage.head().epoch}


async def test_a_receipt_of_the_epoch_before_keeps_nothing_waiting() -> None:
    class Late(BreakingStorage):
        """Its epoch ends between an append and its receipts."""

        async def append(self, drafts: Any) -> list[Receipt]:
            receipts = await super().append(drafts)
            self.flush()
            await trio.testing.wait_all_tasks_blocked()
            return list(receipts)

    storage = Late()
    async with at_work(storage) as world:
        world.nursery.start_soon(world.hub.journal.keep)
        [receipt] = await world.hub.journal.submit([draft("t")])
        assert receipt.position.epoch < world.hub.journal.head.epoch
        await world.hub.journal.quiet()
        assert not world.hub.journal.is_busy


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
