"""What waits for storage: drafts in by arrival, out as batches, and how much of them is not delivered yet.

Law: a submission is all or none, and they reach storage in the order in which they were made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import trio

from adohub.errors import PeerError, StorageError
from adohub.hub.trouble import Trouble
from adohub.metrics import Metrics
from adohub.model import Draft, Position, size_of
from adohub.plugin.contracts import Submission
from adohub.plugin.pending import Pending
from adohub.plugin.storage import Receipt, Storage

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


class _Underway(NamedTuple):
    """A batch that storage holds and that is not delivered as far as `end`, its last event."""

    end: Position
    accepted_at: float
    events: int
    bytes_: int


_Submitted = tuple[Sequence[Draft], int, Submission]
"""Drafts, how many bytes of payload they have, and who waits for them."""


class Inbox:
    """What was submitted, until storage has it, and then until it is delivered."""

    def __init__(self, storage: Storage, trouble: Trouble, metrics: Metrics, head: Position) -> None:
        self._storage = storage
        self._trouble = trouble
        self._metrics = metrics
        self._head = head
        self._waiting: list[_Submitted] = []
        self._events = self._bytes = 0
        self._arrival = trio.Event()
        self._appending = False
        self._took = 0.0
        """How long the last append took, in seconds."""
        self._expected = 0
        """How many drafts would wait if all that it kept were followed by another one each."""
        self._underway: deque[_Underway] = deque()
        self._underway_events = self._underway_bytes = 0
        self.accepted_at: float | None = None
        """When the oldest batch whose end delivery has just passed was accepted, on trio's clock.

        None if it passed the end of none that was appended here.
        """
        self._progress = trio.Event()

    def submit(self, drafts: Sequence[Draft]) -> Submission:
        """Put `drafts` in line for storage, all or none. Raises PeerError when too much is waiting."""
        size = len(drafts[0].body) + len(drafts[0].notes) if len(drafts) == 1 else size_of(drafts)
        if self._waiting and (self._events + len(drafts) > INBOX_EVENTS or self._bytes + size > INBOX_BYTES):
            raise PeerError("SERVICE_UNAVAILABLE", "storage is behind with what was published; try again")
        submission: Submission = Pending()
        if not self._waiting:
            self._arrival.set()
        self._waiting.append((drafts, size, submission))
        self._events += len(drafts)
        self._bytes += size
        return submission

    async def keep(self) -> None:
        """The task that appends: whatever has gathered goes to storage as one batch, in arrival order."""
        while True:
            await self._arrival.wait()
            self._arrival = trio.Event()
            self._appending = True
            while self._waiting:
                while self._underway_events > UNDELIVERED_EVENTS or self._underway_bytes > UNDELIVERED_BYTES:
                    await self._progress.wait()
                await self._gather()
                await self._append(self._gathered())
            self._appending = False
            self._tell_progress()

    async def flushed(self) -> None:
        """Wait until everything that has been submitted is in storage, or refused by it."""
        while self._waiting or self._appending:
            await self._progress.wait()

    @property
    def is_busy(self) -> bool:
        """Whether anything that was submitted is not in storage yet, or not delivered."""
        return bool(self._waiting or self._underway) or self._appending

    async def quiet(self) -> None:
        """Wait for a moment in which it is not busy."""
        while self.is_busy:
            await self._progress.wait()

    async def _gather(self) -> None:
        """Give those who have just been answered a moment to publish again, if there are others who wait."""
        until = trio.current_time() + min(GATHER_S, GATHER_SHARE * self._took)
        while self._events < self._expected and trio.current_time() < until:
            await trio.lowlevel.checkpoint()

    def _gathered(self) -> Sequence[_Submitted]:
        """What is appended next: all that waits, as far as one batch goes."""
        count = size = number = 0
        for drafts, bytes_, _ in self._waiting:
            if number and count + len(drafts) > BATCH_EVENTS:
                break
            count += len(drafts)
            size += bytes_
            number += 1
        gathered, self._waiting = self._waiting[:number], self._waiting[number:]
        self._events -= count
        self._bytes -= size
        return gathered

    async def _append(self, submitted: Sequence[_Submitted]) -> None:
        drafts = [draft for some, _, _ in submitted for draft in some]
        began = trio.current_time()
        try:
            receipts = await self._storage.append(drafts)
        except Exception as error:  # noqa: BLE001 - an engine is a stranger's code: publishing fails, the hub not
            _fail(submitted, self._trouble.refused(error))
            return
        self._trouble.taken()
        self._took = trio.current_time() - began
        self._expected = len(drafts) + self._events
        self._metrics.append.observe(self._took)
        self._note_underway(receipts, sum([size for _, size, _ in submitted]), began)
        start = 0
        for some, _, submission in submitted:
            stop = start + len(some)
            submission.succeed(receipts[start:stop])
            start = stop

    # ── on its way to delivery ───────────────────────────────────────────────────────────────────────

    def _note_underway(self, receipts: Sequence[Receipt], size: int, accepted_at: float) -> None:
        """An engine may yield events before it has acknowledged them: those are not under way any more."""
        end = max(
            (receipt.position for receipt in receipts if not (receipt.repeated or receipt.rejected)),
            default=self._head,
        )
        if end.epoch == self._head.epoch and end > self._head:
            self._underway.append(_Underway(end, accepted_at, len(receipts), size))
            self._underway_events += len(receipts)
            self._underway_bytes += size

    def delivered(self, head: Position) -> None:
        """Delivery has come to `head`."""
        self._head = head
        self.accepted_at = None
        while self._underway and (self._underway[0].end <= head or self._underway[0].end.epoch != head.epoch):
            passed = self._underway.popleft()
            self._underway_events -= passed.events
            self._underway_bytes -= passed.bytes_
            if self.accepted_at is None:
                self.accepted_at = passed.accepted_at
        self._tell_progress()

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = trio.Event()


def _fail(submitted: Sequence[_Submitted], error: StorageError) -> None:
    for _, _, submission in submitted:
        own = StorageError(str(error))  # one each: a traceback grows wherever its exception is raised
        own.__cause__ = error
        submission.fail(own)
