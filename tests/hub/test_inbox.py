"""What waits for storage: batches in arrival order, bounds, failures, and what is not delivered yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import trio
import trio.testing

from adohub.builtin.memory import MemoryStorage
from adohub.errors import PeerError, StorageError
from adohub.hub import inbox as inboxes
from adohub.hub.journal import Journal
from adohub.model import Draft
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
