"""The only caller of storage: takes drafts in, knows how far delivery has come, reads back what was.

Two positions matter. Storage's own head is the newest event it holds; the journal's `head` is the newest
event that has been delivered. Pages stop at the latter, so whoever has read up to it and joins a cohort in
the same step has missed nothing and will get nothing twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeVar

import structlog
import trio
from attrs import evolve, frozen

from adohub.errors import PeerError, StorageError
from adohub.metrics import Metrics
from adohub.model import PARTIAL, Draft, Event, Position, size_of
from adohub.plugin.contracts import Submission
from adohub.plugin.pending import Pending
from adohub.plugin.storage import Newest, Page, Receipt, Storage
from adohub.topics import Selection

INBOX_EVENTS = 65_536
"""How many drafts may wait for storage; one more is refused with SERVICE_UNAVAILABLE."""

INBOX_BYTES = 64 * 1024 * 1024
"""How many bytes of payload may wait for storage."""

BATCH_EVENTS = 1024
"""How many drafts go to storage as one batch; a single submission is not cut: it is all or none."""

GATHER_S = 0.0002
"""How long a batch may wait for more, in seconds."""

GATHER_SHARE = 0.25
"""How long it may wait at most, as a share of what the last append took.

Measured reason: 64 publishes in flight otherwise split in two groups that take turns, and storage commits
twice for each of them: a sixth less throughput, on a slow disk half.
"""

UNDELIVERED_EVENTS = 16_384
"""How many events this hub may have appended and not delivered before storage is given no more for now."""

UNDELIVERED_BYTES = 64 * 1024 * 1024
"""How many bytes of payload those may have."""

CHECK_AGAIN_S = 1.0
"""How often storage that takes nothing is asked whether it would, in seconds. It is in trouble until it has
refused nothing for so long: a disk that is all but full takes one event and refuses the next."""

RECENT_EVENTS = 512
"""How many delivered events are remembered, so that a cursor's last steps to the head need no storage."""

RECENT_BYTES = 4 * 1024 * 1024
"""How many bytes of payload the remembered events may have."""

T = TypeVar("T")

_position = attrgetter("position")

_log = structlog.get_logger("adohub.journal")


@frozen
class Resumption:
    """Where a returning subscriber goes on: after `position`; `recovered` unless something was missed.

    `seen` is what it is known to have seen already; in a gap that lies before the position, or at the very
    beginning when its id tells nothing.
    """

    position: Position
    recovered: bool
    seen: Position
    partial: bool = False
    """Whether its id is one of a snapshot that it has not seen the end of."""


class _Underway(NamedTuple):
    """A batch that storage holds and that is not delivered as far as `end`, its last event."""

    end: Position
    accepted_at: float
    events: int
    bytes_: int


_Submitted = tuple[Sequence[Draft], int, Submission]
"""Drafts, how many bytes of payload they have, and who waits for them."""


def _fail(submitted: Sequence[_Submitted], error: StorageError) -> None:
    for _, _, submission in submitted:
        own = StorageError(str(error))  # one each: a traceback grows wherever its exception is raised
        own.__cause__ = error
        submission.fail(own)


def _fault(error: Exception) -> StorageError:
    return StorageError(f"the storage engine is at fault: {type(error).__name__}")


class Journal:
    """The one order of events, as this hub sees it."""

    def __init__(self, storage: Storage, metrics: Metrics | None = None) -> None:
        self._storage = storage
        self.metrics = metrics or Metrics()
        self._underway: deque[_Underway] = deque()
        self._underway_events = self._underway_bytes = 0
        self._accepted_at: float | None = None
        self.head: Position = storage.head()
        """The newest delivered event. Moves only in `advance`, in the step that delivers."""
        self._recent: deque[Sequence[Event]] = deque()
        self._recent_events = self._recent_bytes = 0
        self._recent_after = self.head
        self._inbox: list[_Submitted] = []
        self._inbox_events = 0
        self._inbox_bytes = 0
        self.trouble: str | None = None
        """Why storage takes nothing just now, in words for an operator; None while it does."""
        self._troubled = trio.Event()
        self._refused_at = 0.0
        self._unreadable: str | None = None
        self._arrival = trio.Event()
        self._appending = False
        self._took = 0.0
        """How long the last append took, in seconds."""
        self._expected = 0
        """How many drafts would wait if all that it kept were followed by another one each."""
        self._progress = trio.Event()

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, drafts: Sequence[Draft]) -> Submission:
        """Put `drafts` in line for storage, all or none. Raises PeerError when too much is waiting."""
        size = len(drafts[0].body) + len(drafts[0].notes) if len(drafts) == 1 else size_of(drafts)
        if self._inbox and (
            self._inbox_events + len(drafts) > INBOX_EVENTS or self._inbox_bytes + size > INBOX_BYTES
        ):
            raise PeerError("SERVICE_UNAVAILABLE", "storage is behind with what was published; try again")
        submission: Submission = Pending()
        if not self._inbox:
            self._arrival.set()
        self._inbox.append((drafts, size, submission))
        self._inbox_events += len(drafts)
        self._inbox_bytes += size
        return submission

    async def keep(self) -> None:
        """The task that appends: whatever has gathered goes to storage as one batch, in arrival order."""
        while True:
            await self._arrival.wait()
            self._arrival = trio.Event()
            self._appending = True
            while self._inbox:
                while self._underway_events > UNDELIVERED_EVENTS or self._underway_bytes > UNDELIVERED_BYTES:
                    await self._progress.wait()
                await self._gather()
                await self._append(self._gathered())
            self._appending = False
            self._tell_progress()

    async def recover(self) -> None:
        """The task that asks storage that takes nothing whether it would: nobody may be publishing now."""
        while True:
            await self._troubled.wait()
            await trio.sleep(CHECK_AGAIN_S)
            try:
                await self._storage.check()
            except Exception as error:  # noqa: BLE001 - as in _append
                self._note_trouble(error)
            else:
                self._note_success()

    def _note_trouble(self, error: Exception) -> StorageError:
        """Storage takes nothing, because of `error`, which is returned in words for an operator."""
        told = error if isinstance(error, StorageError) else _fault(error)
        if self.trouble != str(told):
            stranger = None if told is error else error
            _log.error("storage takes no events", error=str(told), exc_info=stranger)
        self.trouble = str(told)
        self._refused_at = trio.current_time()
        self._troubled.set()
        return told

    def _note_success(self) -> None:
        if self.trouble is not None and trio.current_time() >= self._refused_at + CHECK_AGAIN_S:
            _log.info("storage takes events again")
            self.trouble = None
            self._troubled = trio.Event()

    async def flushed(self) -> None:
        """Wait until everything that has been submitted is in storage, or refused by it."""
        while self._inbox or self._appending:
            await self._progress.wait()

    async def _gather(self) -> None:
        """Give those who have just been answered a moment to publish again, if there are others who wait."""
        until = trio.current_time() + min(GATHER_S, GATHER_SHARE * self._took)
        while self._inbox_events < self._expected and trio.current_time() < until:
            await trio.lowlevel.checkpoint()

    def _gathered(self) -> Sequence[_Submitted]:
        """What is appended next: all that waits, as far as one batch goes."""
        count = size = number = 0
        for drafts, bytes_, _ in self._inbox:
            if number and count + len(drafts) > BATCH_EVENTS:
                break
            count += len(drafts)
            size += bytes_
            number += 1
        gathered, self._inbox = self._inbox[:number], self._inbox[number:]
        self._inbox_events -= count
        self._inbox_bytes -= size
        return gathered

    async def _append(self, submitted: Sequence[_Submitted]) -> None:
        drafts = [draft for some, _, _ in submitted for draft in some]
        began = trio.current_time()
        try:
            receipts = await self._storage.append(drafts)
        except Exception as error:  # noqa: BLE001 - an engine is a stranger's code: publishing fails, the hub not
            _fail(submitted, self._note_trouble(error))
            return
        self._note_success()
        self._took = trio.current_time() - began
        self._expected = len(drafts) + self._inbox_events
        self.metrics.append.observe(self._took)
        self._note_underway(receipts, sum([size for _, size, _ in submitted]), began)
        start = 0
        for some, _, submission in submitted:
            stop = start + len(some)
            submission.succeed(receipts[start:stop])
            start = stop

    def _note_underway(self, receipts: Sequence[Receipt], size: int, accepted_at: float) -> None:
        """An engine may yield events before it has acknowledged them: those are not under way any more."""
        end = max(
            (receipt.position for receipt in receipts if not (receipt.repeated or receipt.rejected)),
            default=self.head,
        )
        if end.epoch == self.head.epoch and end > self.head:
            self._underway.append(_Underway(end, accepted_at, len(receipts), size))
            self._underway_events += len(receipts)
            self._underway_bytes += size

    # ── delivery ─────────────────────────────────────────────────────────────────────────────────────

    def follow(self) -> AsyncGenerator[Sequence[Event], None]:
        """What the pump delivers: every event after the head, in batches of what has gathered."""
        return self._storage.follow(self.head)

    def advance(self, batch: Sequence[Event]) -> None:
        """Move the head over `batch`. The caller delivers it in the same step, with no checkpoint between."""
        self._recent.append(batch)
        self._recent_events += len(batch)
        self._recent_bytes += size_of(batch)
        while self._recent_events > RECENT_EVENTS or self._recent_bytes > RECENT_BYTES:
            forgotten = self._recent.popleft()
            self._recent_events -= len(forgotten)
            self._recent_bytes -= size_of(forgotten)
            self._recent_after = forgotten[-1].position
        for topic, number in Counter([event.topic for event in batch]).items():
            self.metrics.events.add(topic, number)
        self.head = batch[-1].position
        self._pass_underway()
        self._tell_progress()

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    def _pass_underway(self) -> None:
        self._accepted_at = None
        while self._underway and (
            self._underway[0].end <= self.head or self._underway[0].end.epoch != self.head.epoch
        ):
            passed = self._underway.popleft()
            self._underway_events -= passed.events
            self._underway_bytes -= passed.bytes_
            if self._accepted_at is None:
                self._accepted_at = passed.accepted_at

    @property
    def accepted_at(self) -> float | None:
        """When the oldest batch whose end the last `advance` has passed was accepted, on trio's clock.

        None if it passed the end of none that was appended here.
        """
        return self._accepted_at

    @property
    def is_busy(self) -> bool:
        """Whether anything that was published here is not in storage yet, or not delivered."""
        return bool(self._inbox or self._underway) or self._appending

    async def quiet(self) -> None:
        """Wait for a moment in which it is not busy."""
        while self.is_busy:
            await self._progress.wait()

    async def delivered(self, position: Position) -> None:
        """Wait until the head has reached `position`, which storage holds already."""
        while self.head < position:
            await self._progress.wait()

    # ── back ─────────────────────────────────────────────────────────────────────────────────────────

    def locate(self, event_id: str) -> Resumption:
        """Where a subscriber that has seen `event_id` goes on.

        An id that storage no longer holds, of another epoch, of the future, or that was never an id, is a
        gap: what is left is replayed from its beginning.
        """
        partial = event_id.endswith(PARTIAL)
        position = Position.parse(event_id.removesuffix(PARTIAL))
        tail, newest = self.tail, self._storage.head()
        if position is None or position.epoch != newest.epoch or position > newest:
            return Resumption(tail, recovered=False, seen=Position(tail.epoch, 0))
        if position < tail:
            return Resumption(tail, recovered=False, seen=position)
        return Resumption(position, recovered=True, seen=position, partial=partial)

    @property
    def newest(self) -> Position:
        """The newest event that storage holds, delivered or not."""
        return self._storage.head()

    @property
    def tail(self) -> Position:
        """The position just before the oldest event that can be read back, or that will be delivered.

        Storage may let go of what the pump has in its hands: never is it beyond the head.
        """
        tail = self._storage.tail()
        return min(tail, self.head) if tail.epoch == self.head.epoch else tail

    def remembers(self, after: Position) -> bool:
        """Whether memory has all that was delivered after `after`."""
        return after >= self._recent_after and after.epoch == self.head.epoch

    def recent(self, selection: Selection, after: Position) -> Page | None:
        """The chosen events from `after` to the head out of memory, or None if memory begins later."""
        if not self.remembers(after):
            return None
        events = [
            event
            for batch in self._recent
            if batch[-1].position > after
            for event in batch
            if event.position > after
        ]
        return Page(selection.choose(events), max(after, self.head))

    async def _told(self, reading: Awaitable[T]) -> T:
        """What storage answers; the log is told when it begins to answer nothing, not each time."""
        try:
            answer = await reading
        except StorageError as error:
            if str(error) != self._unreadable:
                _log.error("storage cannot be read", error=str(error))
            self._unreadable = str(error)
            raise
        self._unreadable = None
        return answer

    async def look_back(self, selection: Selection, after: Position, limit: int) -> Page:
        """A page of chosen events after `after`, delivered or not: who has published finds it here."""
        return await self._told(self._storage.read(selection, after, limit))

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        """A page of chosen events after `after`, which ends at the head at the latest."""
        page = await self._told(self._storage.read(selection, after, limit))
        if page.reached <= self.head:
            return page
        events = [event for event in page.events if event.position <= self.head]
        return evolve(page, events=events, reached=max(after, self.head))

    async def latest(self, selections: Iterable[Selection]) -> Sequence[Event]:
        """The newest event of each (topic, key) that any of `selections` chooses, as far as delivered."""
        events: list[Event] = []
        for selection in selections:
            events += (await self._told(self._storage.latest(selection))).events
        return sorted((event for event in events if event.position <= self.head), key=_position)

    async def snapshot(self, selection: Selection) -> Newest:
        """The newest chosen event of each (topic, key), once all of it is delivered."""
        newest = await self._told(self._storage.latest(selection))
        await self.delivered(newest.position)
        return newest

    async def look_at_newest(self, selection: Selection) -> Newest:
        """The same at once, delivered or not: who has published finds it here."""
        return await self._told(self._storage.latest(selection))
