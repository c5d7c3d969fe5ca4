"""The journal: drafts in by arrival, the head behind storage, pages that end at the head."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import trio
import trio.testing
from attrs import evolve

from adohub.builtin.memory import MemoryStorage
from adohub.errors import PeerError, StorageError
from adohub.hub import inbox as inboxes
from adohub.hub import recent as recents
from adohub.hub.journal import Journal
from adohub.hub.recent import RECENT_EVENTS
from adohub.model import Draft, Event, Position
from adohub.plugin.storage import Receipt
from adohub.topics import Selection
from tests.hub.making import SETTINGS, Hub, draft

EVERYTHING = Selection(["**"])


class Scripted(MemoryStorage):
    """The memory engine; appending waits for `open`, and fails while there is an `error`."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.batches: list[int] = []
        self.open = trio.Event()
        self.open.set()
        self.error: str | None = None

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        await self.open.wait()
        if self.error:
            raise StorageError(self.error)
        self.batches.append(len(drafts))
        return await super().append(drafts)


@pytest.fixture
def storage() -> Scripted:
    return Scripted()


@pytest.fixture
async def journal(storage: Scripted) -> AsyncIterator[Journal]:
    journal = Journal(storage)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.keep)
        with trio.fail_after(10):
            yield journal
        nursery.cancel_scope.cancel()


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_submission_gives_one_receipt_each_in_order(journal: Journal, storage: Scripted) -> None:
    receipts = await journal.submit([draft("t"), draft("t"), draft("u")])
    assert [receipt.position.offset for receipt in receipts] == [1, 2, 3]
    assert storage.head() == receipts[-1].position


async def test_what_gathers_while_storage_is_busy_goes_as_one_batch_in_arrival_order(
    journal: Journal, storage: Scripted
) -> None:
    storage.open = trio.Event()
    first = journal.submit([draft("t")])
    await trio.testing.wait_all_tasks_blocked()
    others = [journal.submit([draft("t")] * count) for count in (2, 3, 1)]
    storage.open.set()
    offsets = [[one.position.offset for one in await each] for each in (first, *others)]
    assert offsets == [[1], [2, 3], [4, 5, 6], [7]]
    assert storage.batches == [1, 6]


async def test_a_submission_may_be_awaited_late_and_by_many(journal: Journal) -> None:
    submission = journal.submit([draft("t")])
    await journal.flushed()
    assert await submission == await submission


async def test_a_publisher_that_gives_up_does_not_stop_the_append(
    journal: Journal, storage: Scripted
) -> None:
    storage.open = trio.Event()
    submission = journal.submit([draft("t")])
    with trio.move_on_after(0):
        await submission
    storage.open.set()
    await journal.flushed()
    assert storage.head().offset == 1


async def test_a_storage_failure_reaches_each_submitter_and_the_next_batch_is_tried(
    journal: Journal, storage: Scripted
) -> None:
    storage.error = "disk full"
    submissions = [journal.submit([draft("t")]) for _ in range(2)]
    for submission in submissions:
        with pytest.raises(StorageError, match=r"^disk full$"):
            await submission
    storage.error = None
    assert len(await journal.submit([draft("t")])) == 1
    assert storage.batches == [1]


async def test_each_submitter_gets_an_exception_of_its_own(journal: Journal, storage: Scripted) -> None:
    storage.error = "gone"
    submissions = [journal.submit([draft("t")]) for _ in range(2)]
    await journal.flushed()
    caught = []
    for submission in submissions:
        with pytest.raises(StorageError, match=r"^gone$") as info:
            submission.result()
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert caught[0].__cause__ is caught[1].__cause__


async def test_a_batch_is_bounded_but_never_cuts_a_submission(
    journal: Journal, storage: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "BATCH_EVENTS", 4)
    storage.open = trio.Event()
    first = journal.submit([draft("t")])
    await trio.testing.wait_all_tasks_blocked()
    others = [journal.submit([draft("t")] * count) for count in (3, 1, 2, 7, 1)]
    storage.open.set()
    offsets = [one.position.offset for each in (first, *others) for one in await each]
    assert offsets == list(range(1, 16))
    assert storage.batches == [1, 4, 2, 7, 1]


async def test_too_many_waiting_events_are_refused_at_once_and_later_taken_again(
    journal: Journal, storage: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "INBOX_EVENTS", 4)
    storage.open = trio.Event()
    journal.submit([draft("t")])
    await trio.testing.wait_all_tasks_blocked()
    journal.submit([draft("t")] * 3)
    with pytest.raises(PeerError, match="storage is behind") as refusal:
        journal.submit([draft("t")] * 2)
    assert refusal.value.code == "SERVICE_UNAVAILABLE"
    journal.submit([draft("t")])
    storage.open.set()
    await journal.flushed()
    await journal.submit([draft("t")] * 4)
    assert storage.batches == [1, 4, 4]


@pytest.mark.parametrize("large", [draft("t", text="x" * 60), draft("t")._replace(notes=b"x" * 60)])
async def test_too_many_waiting_bytes_are_refused(
    journal: Journal, storage: Scripted, monkeypatch: pytest.MonkeyPatch, large: Draft
) -> None:
    monkeypatch.setattr(inboxes, "INBOX_BYTES", 100)
    storage.open = trio.Event()
    journal.submit([large])
    with pytest.raises(PeerError):
        journal.submit([large])
    storage.open.set()


async def test_a_batch_beyond_all_limits_is_taken_when_nothing_waits(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "INBOX_EVENTS", 2)
    assert len(await journal.submit([draft("t")] * 5)) == 5


async def test_flushed_waits_for_what_is_being_appended_and_for_what_came_after(
    journal: Journal, storage: Scripted
) -> None:
    storage.open = trio.Event()
    journal.submit([draft("t")])
    await trio.testing.wait_all_tasks_blocked()
    journal.submit([draft("t")])
    done = False

    async def flush() -> None:
        nonlocal done
        await journal.flushed()
        done = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush)
        await trio.testing.wait_all_tasks_blocked()
        assert not done
        storage.open.set()
    assert storage.head().offset == 2


async def test_flushed_returns_at_once_when_there_is_nothing(journal: Journal) -> None:
    await journal.flushed()


# ── delivery ─────────────────────────────────────────────────────────────────────────────────────────


async def test_the_head_is_what_was_delivered_and_not_what_storage_holds() -> None:
    hub = Hub()
    before = hub.journal.head
    await hub.publish(draft("t"))
    assert hub.journal.head == before
    await hub.deliver_all()
    assert hub.journal.head == hub.storage.head()


async def test_a_journal_begins_at_the_head_of_its_storage() -> None:
    storage = MemoryStorage(SETTINGS)
    await storage.append([draft("t")])
    journal = Journal(storage)
    assert journal.head == storage.head()
    assert journal.recent(EVERYTHING, journal.head) is not None
    assert journal.recent(EVERYTHING, storage.tail()) is None


async def test_delivered_returns_when_the_head_arrives() -> None:
    hub = Hub()
    await hub.publish(draft("t"), draft("t"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.journal.delivered, hub.storage.head())
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        await hub.deliver_all()
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_advancing_never_checkpoints() -> None:
    hub = Hub()
    await hub.publish(*[draft("t")] * 5)
    events = (await hub.storage.read(EVERYTHING, hub.journal.head, 10)).events
    with trio.testing.assert_no_checkpoints():
        hub.journal.advance(events)


# ── back ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_ends_at_the_head() -> None:
    hub = Hub()
    start = hub.journal.head
    await hub.publish(draft("t"))
    await hub.deliver_all()
    await hub.publish(draft("t"), draft("t"))
    page = await hub.journal.read(EVERYTHING, start, 10)
    assert ([event.position.offset for event in page.events], page.reached) == ([1], hub.journal.head)


async def test_a_page_from_beyond_the_head_moves_nothing_back() -> None:
    hub = Hub()
    await hub.publish(draft("t"), draft("t"))
    page = await hub.journal.read(EVERYTHING, hub.storage.head(), 10)
    assert (list(page.events), page.reached) == ([], hub.storage.head())


async def test_latest_leaves_out_what_was_not_delivered() -> None:
    hub = Hub()
    await hub.publish(draft("t", "k"))
    await hub.deliver_all()
    await hub.publish(draft("t", "m"))
    assert [event.key for event in await hub.journal.latest([EVERYTHING])] == ["k"]


async def test_memory_answers_exactly_what_storage_would() -> None:
    hub = Hub()
    start = hub.journal.head
    await hub.publish(*(draft("t" if number % 3 else "u", "km"[number % 2]) for number in range(40)))
    await hub.deliver_all()
    for selection in (EVERYTHING, Selection(["u"]), Selection(["t"], key="k"), Selection(["none"])):
        for offset in range(41):
            after = Position(start.epoch, offset)
            recent = hub.journal.recent(selection, after)
            stored = await hub.journal.read(selection, after, 100)
            assert recent is not None
            assert (list(recent.events), recent.reached) == (list(stored.events), hub.journal.head)


async def test_memory_is_bounded_by_events_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    await hub.publish(*(draft("t") for _ in range(RECENT_EVENTS + 5)))
    start = hub.journal.head
    await hub.deliver_all()
    assert hub.journal.recent(EVERYTHING, Position(start.epoch, 4)) is None
    remembered = hub.journal.recent(EVERYTHING, Position(start.epoch, 5))
    assert remembered is not None
    assert len(remembered.events) == RECENT_EVENTS

    monkeypatch.setattr(recents, "RECENT_BYTES", 100)
    await hub.publish(draft("t", text="x" * 1000))
    await hub.deliver_all()
    assert hub.journal.recent(EVERYTHING, Position(start.epoch, hub.journal.head.offset - 1)) is None
    at_head = hub.journal.recent(EVERYTHING, hub.journal.head)
    assert at_head is not None
    assert list(at_head.events) == []


async def test_storage_is_given_no_more_while_too_much_of_it_is_undelivered(
    journal: Journal, storage: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "UNDELIVERED_EVENTS", 4)
    await journal.submit([draft("t")] * 5)
    waiting = journal.submit([draft("t")])
    await trio.testing.wait_all_tasks_blocked()
    assert storage.batches == [5]
    page = await storage.read(EVERYTHING, journal.head, 100)
    journal.advance(page.events)
    assert len(await waiting) == 1
    assert storage.batches == [5, 1]


async def test_bytes_that_are_undelivered_are_bounded_too(
    journal: Journal, storage: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "UNDELIVERED_BYTES", 1000)
    await journal.submit([draft("t", text="x" * 2000)])
    waiting = journal.submit([draft("t")])
    await trio.testing.wait_all_tasks_blocked()
    assert storage.batches == [1]
    journal.advance((await storage.read(EVERYTHING, journal.head, 100)).events)
    await waiting


async def test_the_moment_of_acceptance_is_that_of_the_oldest_batch_whose_end_was_passed() -> None:
    hub = Hub()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.journal.keep)
        began = trio.current_time()
        await hub.journal.submit([draft("t"), draft("t")])
        await hub.journal.submit([draft("t")])
        events = (await hub.storage.read(EVERYTHING, hub.journal.head, 100)).events
        hub.journal.advance(events[:1])
        moments = [hub.journal.accepted_at]
        hub.journal.advance(events[1:])
        moments.append(hub.journal.accepted_at)
        nursery.cancel_scope.cancel()
    assert moments[0] is None
    assert moments[1] is not None
    assert began <= moments[1] <= trio.current_time()


async def test_the_tail_is_never_beyond_the_head() -> None:
    """Storage lets go of events that the pump has in its hands."""
    hub = Hub(MemoryStorage(evolve(SETTINGS, max_events=2)))
    await hub.publish(*(draft("t") for _ in range(10)))
    assert hub.storage.tail() > hub.journal.head
    assert hub.journal.tail == hub.journal.head
    assert hub.journal.locate(str(hub.journal.head)).recovered


async def test_what_was_delivered_as_one_is_forgotten_as_one() -> None:
    hub = Hub()
    await hub.publish(*(draft("t") for _ in range(RECENT_EVENTS + 6)))
    events = (await hub.storage.read(EVERYTHING, hub.journal.head, 10_000)).events
    for batch in (events[:3], events[3:8], events[8:]):
        hub.deliver(*batch)
    assert hub.journal.recent(EVERYTHING, events[6].position) is None
    remembered = hub.journal.recent(EVERYTHING, events[9].position)
    assert remembered is not None
    assert list(remembered.events) == list(events[10:])


async def test_memory_knows_nothing_of_another_epoch() -> None:
    hub = Hub()
    assert hub.journal.recent(EVERYTHING, Position("zzz", 0)) is None


def located(hub: Hub, event_id: str) -> tuple[int, bool, int]:
    found = hub.journal.locate(event_id)
    return found.position.offset, found.recovered, found.seen.offset


async def test_locating_an_id() -> None:
    storage = MemoryStorage(SETTINGS)
    hub = Hub(storage)
    ids = await hub.publish(draft("t"), draft("t"), draft("t"))
    epoch = storage.head().epoch
    assert located(hub, ids[1]) == (2, True, 2)
    assert located(hub, ids[2]) == (3, True, 3)
    assert located(hub, str(Position(epoch, 0))) == (0, True, 0)
    assert located(hub, str(Position(epoch, 4))) == (0, False, 0)
    assert located(hub, str(Position("other", 2))) == (0, False, 0)
    assert located(hub, "nonsense") == (0, False, 0)


async def test_follow_yields_what_comes_after_the_head() -> None:
    hub = Hub()
    await hub.publish(draft("t"))
    await hub.deliver_all()
    await hub.publish(draft("u"))
    seen: list[Event] = []
    with trio.fail_after(5), trio.CancelScope() as enough:
        async for batch in hub.journal.follow():
            seen += batch
            enough.cancel()
    assert [event.topic for event in seen] == ["u"]
