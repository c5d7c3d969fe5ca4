"""A batch waits a moment for those who were just answered; what is on its way, and what is remembered.

Time is virtual here: a microsecond passes in every step of the scheduler, and only so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
import trio.testing
from attrs import frozen

from adohub.builtin.memory import MemoryStorage
from adohub.errors import StorageError
from adohub.hub import recent as recents
from adohub.hub.inbox import GATHER_S, GATHER_SHARE
from adohub.hub.journal import Journal
from adohub.model import Draft, Position
from adohub.plugin.storage import Receipt
from adohub.topics import Selection
from tests.hub.making import SETTINGS, Hub, draft

EVERYTHING = Selection(["**"])
STEP_S = 1e-6
FEW_STEPS_S = 20 * STEP_S
DEADLINE_S = 1.0


@frozen
class Append:
    """What storage was asked to keep, and when it began and ended with it."""

    drafts: int
    began: float
    ended: float


class SteadyStorage(MemoryStorage):
    """The memory engine, whose appends take `took_s`, and fail while there is an `error`."""

    def __init__(self, took_s: float) -> None:
        super().__init__(SETTINGS)
        self.took_s = took_s
        self.error: str | None = None
        self.appends: list[Append] = []

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        began = trio.current_time()
        await trio.sleep(self.took_s)
        if self.error:
            raise StorageError(self.error)
        receipts = await super().append(drafts)
        self.appends.append(Append(len(drafts), began, trio.current_time()))
        return receipts

    @property
    def pauses(self) -> list[float]:
        """How long storage had nothing to do before each append but the first."""
        return [after.began - before.ended for before, after in pairwise(self.appends)]


@asynccontextmanager
async def keeping(storage: MemoryStorage, clock: trio.testing.MockClock) -> AsyncIterator[Journal]:
    """A journal that hands on what it is given, while time passes."""

    async def pass_time() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            clock.jump(STEP_S)

    journal = Journal(storage)
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.keep)
            nursery.start_soon(pass_time)
            yield journal
            nursery.cancel_scope.cancel()


async def publish(journal: Journal, times: int) -> None:
    """As often, each time once the last one has been answered."""
    for _ in range(times):
        await journal.submit([draft("t")])


# ── gathering ────────────────────────────────────────────────────────────────────────────────────────


async def test_those_who_were_just_answered_join_those_who_wait(clock: trio.testing.MockClock) -> None:
    storage = SteadyStorage(0.002)
    async with keeping(storage, clock) as journal, trio.open_nursery() as publishers:
        for number in range(8):
            if number == 4:
                await trio.sleep(0.001)
            publishers.start_soon(publish, journal, 10)
    assert [append.drafts for append in storage.appends] == [4, *[8] * 9, 4]


@pytest.mark.parametrize("took_s", [0.0002, 0.0006, 0.002, 0.02])
async def test_whoever_waits_does_so_for_a_share_of_an_append_and_no_longer_than_a_moment(
    clock: trio.testing.MockClock, took_s: float
) -> None:
    storage = SteadyStorage(took_s)
    async with keeping(storage, clock) as journal, trio.open_nursery() as publishers:
        publishers.start_soon(publish, journal, 1)
        await trio.sleep(took_s / 2)
        publishers.start_soon(publish, journal, 1)
    assert [append.drafts for append in storage.appends] == [1, 1]
    assert storage.pauses == [pytest.approx(min(GATHER_S, GATHER_SHARE * took_s), abs=FEW_STEPS_S)]


async def test_whoever_publishes_alone_waits_for_nobody(clock: trio.testing.MockClock) -> None:
    storage = SteadyStorage(0.002)
    async with keeping(storage, clock) as journal:
        await publish(journal, 10)
        await trio.sleep(0.01)
        await publish(journal, 1)
    assert [append.drafts for append in storage.appends] == [1] * 11
    assert max(storage.pauses[:9]) < FEW_STEPS_S


async def test_a_large_batch_waits_no_more_once_all_have_come_again(clock: trio.testing.MockClock) -> None:
    storage = SteadyStorage(0.02)
    async with keeping(storage, clock) as journal, trio.open_nursery() as publishers:
        for _ in range(50):
            publishers.start_soon(publish, journal, 3)
    assert [append.drafts for append in storage.appends] == [50, 50, 50]
    assert max(storage.pauses) < FEW_STEPS_S


# ── being quiet ──────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def waiting_for_quiet(journal: Journal) -> AsyncIterator[trio.Event]:
    """What is set once the journal was not busy."""
    was_quiet = trio.Event()

    async def wait() -> None:
        await journal.quiet()
        assert not journal.is_busy
        was_quiet.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        yield was_quiet


async def deliver(journal: Journal, storage: MemoryStorage) -> None:
    journal.advance((await storage.read(EVERYTHING, journal.head, 100)).events)


async def test_it_is_quiet_when_nothing_was_published(clock: trio.testing.MockClock) -> None:
    async with keeping(SteadyStorage(0.001), clock) as journal:
        await journal.quiet()


async def test_it_is_quiet_once_what_was_published_is_kept_and_delivered(
    clock: trio.testing.MockClock,
) -> None:
    storage = SteadyStorage(0.001)
    async with keeping(storage, clock) as journal:
        submission = journal.submit([draft("t"), draft("t")])
        await trio.sleep(storage.took_s / 2)
        async with waiting_for_quiet(journal) as was_quiet:
            await trio.sleep(FEW_STEPS_S)
            assert not was_quiet.is_set()
            await submission
            await trio.sleep(FEW_STEPS_S)
            assert not was_quiet.is_set()
            assert journal.is_busy
            later = journal.submit([draft("t")])
            await deliver(journal, storage)
            await trio.sleep(FEW_STEPS_S)
            assert not was_quiet.is_set()
            await later
            await deliver(journal, storage)
        assert storage.head() == journal.head


async def test_it_is_quiet_once_what_was_published_has_been_refused(clock: trio.testing.MockClock) -> None:
    storage = SteadyStorage(0.001)
    storage.error = "full"
    async with keeping(storage, clock) as journal:
        submission = journal.submit([draft("t")])
        async with waiting_for_quiet(journal):
            with pytest.raises(StorageError):
                await submission


# ── remembering ──────────────────────────────────────────────────────────────────────────────────────


async def test_it_remembers_where_memory_answers_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recents, "RECENT_EVENTS", 4)
    hub = Hub()
    epoch = hub.journal.head.epoch
    for head in range(1, 12):
        await hub.publish(draft("t"))
        await hub.deliver_all()
        for offset in range(head + 1):
            after = Position(epoch, offset)
            assert hub.journal.remembers(after) is (offset >= head - 4)
            page = hub.journal.recent(EVERYTHING, after)
            assert (page is not None) is hub.journal.remembers(after)
            assert page is None or len(page.events) == head - offset
        assert not hub.journal.remembers(Position("zzz", head))
        assert not hub.journal.remembers(Position("", head))
