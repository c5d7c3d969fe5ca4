"""A new epoch in the middle of a subscription: what each kind of it is told, and positions of other hubs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing
from attrs import evolve

from adohub.errors import PeerError
from adohub.hub.pump import pump
from adohub.hub.recent import Recent
from adohub.model import PARTIAL, Event, OnSlow, Position
from adohub.plugin.storage import Newest, Receipt
from adohub.topics import Selection
from tests.hub.breaking import BreakingStorage
from tests.hub.making import SETTINGS, Hub, Peer, draft
from tests.hub.worlds import KEYED, STATE, STATE_SETTINGS, WILD, World, at_work, shown


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
