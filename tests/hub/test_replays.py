"""History is read and framed once for all who replay the same, and replays hold nobody up."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from adohub.builtin.memory import MemoryStorage
from adohub.errors import StorageError
from adohub.hub import replays
from adohub.hub.cohort import Interest, Member, Push
from adohub.hub.recent import RECENT_EVENTS
from adohub.hub.replays import PAGE_EVENTS, FramedPage, framed
from adohub.model import Position
from adohub.plugin.storage import Page, StorageSettings
from adohub.topics import Selection
from tests.hub.making import Hub, Peer, at, data, draft, event, interest, messages, stopped

WILD = interest("**")
ROOMY = StorageSettings(max_events=100_000, max_age_s=3600, idempotency_window_s=60)
LEAST_READS = 3
LONG = LEAST_READS * PAGE_EVENTS + RECENT_EVENTS // 2
"""How many events there are: some pages, and what the journal remembers."""


class CountingStorage(MemoryStorage):
    """Counts reads; while `barred`, none is answered."""

    def __init__(self) -> None:
        super().__init__(ROOMY)
        self.reads: list[tuple[Selection, Position]] = []
        self.fails = False
        self.barred: trio.Event | None = None

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        self.reads.append((selection, after))
        if self.barred is not None:
            await self.barred.wait()
        if self.fails:
            raise StorageError("away")
        return await super().read(selection, after, limit)


async def with_history(storage: CountingStorage, number: int = LONG) -> tuple[Hub, list[str]]:
    """A hub that has delivered so many events; most are beyond what its journal remembers."""
    hub = Hub(storage)
    ids = await hub.publish(*(draft("t", "k", n=n) for n in range(number)))
    await hub.deliver_all()
    storage.reads.clear()
    return hub, ids


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_those_who_replay_the_same_share_what_is_read() -> None:
    storage = CountingStorage()
    hub, ids = await with_history(storage)
    async with trio.open_nursery() as nursery:
        peers = [Peer(nursery) for _ in range(10)]
        for peer in peers:
            hub.cursor(peer, WILD).begin("all")
        await trio.testing.wait_all_tasks_blocked()
        assert hub.routes.members == len(peers)
    assert [peer.ids for peer in peers] == [ids] * len(peers)
    assert len(storage.reads) == LEAST_READS


async def test_those_who_replay_something_else_do_not() -> None:
    storage = CountingStorage()
    hub, ids = await with_history(storage)
    async with trio.open_nursery() as nursery:
        one, other = Peer(nursery), Peer(nursery)
        hub.cursor(one, WILD).begin("all")
        hub.cursor(other, interest("**", id_=2)).begin("all")
        await trio.testing.wait_all_tasks_blocked()
    assert one.ids == other.ids == ids
    assert {message["id"] for message in other.heard} == {2}


async def test_who_comes_later_takes_what_is_there_and_joins_the_others_pages() -> None:
    storage = CountingStorage()
    hub, ids = await with_history(storage)
    async with trio.open_nursery() as nursery:
        slow, late = Peer(nursery, capacity=1), Peer(nursery)
        hub.cursor(slow, WILD).begin("all")
        await trio.testing.wait_all_tasks_blocked()
        before = len(storage.reads)
        hub.cursor(late, WILD).resume(hub.journal.locate(ids[10]))
        await trio.testing.wait_all_tasks_blocked()
        assert late.ids == ids[11:]
        assert storage.reads[before][1] == at_end_of_first_page(storage)
        slow.capacity = None
        slow.drain()
        await trio.testing.wait_all_tasks_blocked()
        assert slow.ids == ids


def at_end_of_first_page(storage: CountingStorage) -> Position:
    return Position(storage.head().epoch, PAGE_EVENTS)


async def test_pages_beyond_the_limit_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "KEPT_BYTES", 1)
    storage = CountingStorage()
    hub, ids = await with_history(storage)
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        hub.cursor(peer, WILD).begin("all")
        await trio.testing.wait_all_tasks_blocked()
        assert hub.routes.members == 1
    assert peer.ids == ids
    assert len(storage.reads) > LEAST_READS


async def test_the_last_who_replays_clears_the_shelf() -> None:
    hub, _ = await with_history(CountingStorage())
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, capacity=1)
        cursor = hub.cursor(peer, WILD)
        cursor.begin("all")
        await trio.testing.wait_all_tasks_blocked()
        assert hub.replays._shelves
        assert hub.replays._kept_bytes > 0
        peer.drain()
        cursor.leave()
        await trio.testing.wait_all_tasks_blocked()
    assert (hub.replays._shelves, hub.replays._kept, hub.replays._kept_bytes) == ({}, {}, 0)


async def test_who_is_cancelled_while_it_reads_leaves_nobody_waiting() -> None:
    storage = CountingStorage()
    hub, ids = await with_history(storage)
    storage.barred = trio.Event()
    async with trio.open_nursery() as nursery:
        peers = [Peer(nursery) for _ in range(3)]
        async with trio.open_nursery() as connection:
            hub.cursor(Peer(connection), WILD).begin("all")
            await trio.testing.wait_all_tasks_blocked()
            for peer in peers:
                hub.cursor(peer, WILD).begin("all")
            await trio.testing.wait_all_tasks_blocked()
            connection.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        storage.barred.set()
        await trio.testing.wait_all_tasks_blocked()
    assert [peer.ids for peer in peers] == [ids] * 3


async def test_a_read_that_fails_fails_everybody_who_needs_it() -> None:
    storage = CountingStorage()
    hub, _ = await with_history(storage)
    storage.fails = True
    failed = 0

    async def fetch() -> None:
        nonlocal failed
        page = None
        with hub.replays.shelf(WILD) as shelf:
            try:
                while page is None:  # somebody else has tried
                    async with hub.replays.fetched(shelf, hub.journal.tail) as page:
                        pass
            except StorageError:
                failed += 1

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(fetch)
    assert failed == 5


@pytest.mark.parametrize("snapshots", [False, True])
async def test_what_retention_takes_while_it_is_read_is_a_gap_and_no_silence(snapshots: bool) -> None:
    storage = CountingStorage()
    hub, ids = await with_history(storage)
    asked = evolve(WILD, synced=b'"synced"' if snapshots else None)
    resumption = hub.journal.locate(ids[0])
    assert resumption.recovered
    storage.barred = trio.Event()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        hub.cursor(peer, asked).resume(resumption)
        await trio.testing.wait_all_tasks_blocked()
        storage._history._settings = evolve(ROOMY, max_events=LONG // 2)
        barred, storage.barred = storage.barred, None
        await hub.publish(draft("t", "k"))
        await hub.deliver_all()
        barred.set()
        await trio.testing.wait_all_tasks_blocked()
    assert hub.journal.metrics.gaps == 1
    assert (b'"synced"' in b"".join(peer.frames)) is snapshots


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_newcomer_joins_though_a_hundred_replay_and_the_head_does_not_stand_still() -> None:
    storage = CountingStorage()
    hub, _ = await with_history(storage, 40 * PAGE_EVENTS)
    async with trio.open_nursery() as nursery:
        crowd = [Peer(nursery) for _ in range(100)]
        for peer in crowd:
            hub.cursor(peer, WILD).begin("all")
        newcomer = Peer(nursery)
        hub.cursor(newcomer, interest("t", key="k", id_=2)).begin("last")
        joined = False
        while not joined:
            for _ in range(20):  # less than a round of the crowd's turns
                await trio.lowlevel.checkpoint()
            await hub.publish(draft("t", "k"))
            await hub.deliver_all()
            joined = hub.routes.members > 0
            assert any(len(peer.ids) < LONG for peer in crowd[:3]), "the crowd was done before it"
        nursery.cancel_scope.cancel()


async def test_one_piece_is_handed_out_in_a_turn_of_the_scheduler() -> None:
    hub, _ = await with_history(CountingStorage(), 10 * PAGE_EVENTS)
    pushes: list[int] = []

    class Clocked(Peer):
        def push(self, frames: bytes) -> bool:
            pushes.append(ticks.number)
            return super().push(frames)

    ticks = Ticks()
    trio.lowlevel.add_instrument(ticks)
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                hub.cursor(Clocked(nursery), WILD).begin("all")
            await trio.testing.wait_all_tasks_blocked()
    finally:
        trio.lowlevel.remove_instrument(ticks)
    assert len(pushes) > 50
    assert len(set(pushes)) == len(pushes)


class Ticks(trio.abc.Instrument):
    """Counts the turns of the scheduler."""

    def __init__(self) -> None:
        self.number = 0

    def before_io_wait(self, timeout: float) -> None:
        self.number += 1


@pytest.mark.parametrize("busy", [True, False])
def test_replays_rest_while_events_are_on_their_way(busy: bool) -> None:
    async def took() -> float:
        hub, ids = await with_history(CountingStorage())
        await trio.sleep(1)
        hub.journal._inbox._appending = busy
        joined, join = trio.Event(), hub.routes.join

        def joining(interest: Interest, member: Member, push: Push) -> None:
            join(interest, member, push)
            joined.set()

        hub.routes.join = joining  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            peer = Peer(nursery)
            hub.cursor(peer, WILD).begin("all")
            began = trio.current_time()
            await joined.wait()
        assert peer.ids == ids
        return trio.current_time() - began

    seconds = trio.run(took, clock=trio.testing.MockClock(autojump_threshold=0))
    assert (seconds > 0) is busy


# ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────

ENDING = interest("t", key="k", completes_on="end")
names = st.lists(st.sampled_from(["t", "other", "end"]), max_size=12)


def page_of(topics: list[str]) -> tuple[FramedPage, list[dict[str, object]]]:
    """A page of such events, and the messages that it should hold."""
    events = [event(offset, topic, "k", n=offset) for offset, topic in enumerate(topics, start=1)]
    page = framed(ENDING, at(0), Page(events, at(len(events))))
    expected: list[dict[str, object]] = []
    for one in events:
        if one.topic == "t":
            expected.append(data(one, ENDING))
        if one.topic == "end":
            expected.append(stopped(ENDING))
            break
    return page, expected


@given(names, st.integers(min_value=1, max_value=400))
def test_a_page_walked_piece_by_piece_is_the_whole_of_it(topics: list[str], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replays, "CHUNK_BYTES", chunk)
        page, expected = page_of(topics)
        heard: list[dict[str, object]] = []
        counted, position, over = 0, at(0), False
        while not over and page.holds(position):
            piece = page.piece(position)
            assert position < piece.last
            heard += messages(piece.frames)
            counted, position, over = counted + piece.messages, piece.last, piece.completes
        assert heard == expected
        assert counted == len(expected)
        assert (position, over) == (page.reached, "end" in topics)


@given(names.filter(bool), st.data())
def test_a_page_gives_whoever_is_in_it_the_rest(topics: list[str], chance: st.DataObject) -> None:
    page, expected = page_of(topics)
    position = at(chance.draw(st.integers(0, page.reached.offset - 1)))
    after = [
        message
        for message in expected
        if message == stopped(ENDING) or message["result"]["id"] > str(position)  # type: ignore[index]
    ]
    assert messages(page.piece(position).frames) == after
