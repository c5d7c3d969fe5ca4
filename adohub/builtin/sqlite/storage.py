"""The engine as the hub sees it: what is appended gathers for the writing thread, others read.

Law: `head` moves only when a commit has succeeded, in the step that also answers who has appended, or found
to have succeeded; everything that is shown lies at or before it.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import define

from adohub import (
    Draft,
    Event,
    Newest,
    Page,
    Pending,
    Position,
    Receipt,
    Selection,
    Storage,
    StorageError,
    StorageSettings,
    Unshared,
    size_of,
)
from adohub.builtin.sqlite.database import Database, open_database
from adohub.builtin.sqlite.reader import Reader, View
from adohub.builtin.sqlite.writer import Appended, Bounds, Writer

COMMIT_EVENTS = 8192
"""How many drafts one transaction takes; a single append is not cut."""

FRESH_EVENTS = 32_768
"""How many events are remembered for those who follow, who then need not read them from the disk."""

FRESH_BYTES = 64 * 1024 * 1024
"""How many bytes of payload those may have."""

FOLLOWED_EVENTS = 1024
"""How many events are read from the disk at a time for those who follow."""

READERS = 2
"""How many threads read at a time."""

TIDY_S = 2.0
"""How often what is too old is looked for, in seconds."""

CLOSE_S = 5.0
"""How long closing the file may take, in seconds."""

AGE_STEPS = 1000
"""In how many steps `max_age_s` is measured."""


def steady_clock(not_before: float) -> Callable[[], float]:
    """Seconds since 1970 that never go backwards, whatever the system's clock does, nor begin too early."""
    start, began = max(time.time(), not_before), time.monotonic()
    return lambda: start + time.monotonic() - began


@define
class _Wanted:
    """An append that waits for the writing thread."""

    drafts: Sequence[Draft]
    receipts: Pending[Sequence[Receipt]]


class SqliteStorage(Unshared):
    """See `adohub.Storage`. `clock` gives seconds since 1970 that do not go backwards."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        arrivals: Sequence[tuple[float, int]],
        settings: StorageSettings,
        clock: Callable[[], float],
    ) -> None:
        self._epoch = database.epoch
        self._settings = settings
        self._instance = settings.instance
        self._clock = clock
        self._writer = writer
        self._writing = trio.CapacityLimiter(1)
        self._reader = Reader(database)
        self._reading = trio.CapacityLimiter(READERS)
        self._head = writer.head
        self._tail = writer.trimmed
        self._arrivals = deque(arrivals)
        """When the events up to some offsets arrived: the last of each group."""
        self._group_began = arrivals[-1][0] if arrivals else 0.0
        self._queue: deque[_Wanted] = deque()
        self._wanted = trio.Event()
        self._arrival = trio.Event()
        self._fresh: deque[Sequence[Event]] = deque()
        self._fresh_events = self._fresh_bytes = 0
        self._followed: dict[object, int] = {}

    # ── append ───────────────────────────────────────────────────────────────────────────────────────

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        await trio.lowlevel.checkpoint_if_cancelled()
        wanted = _Wanted(drafts, Pending())
        self._queue.append(wanted)
        self._wanted.set()
        return await wanted.receipts

    async def write(self) -> None:
        """The task that writes: whatever has gathered is one transaction."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._queue:
                await self._commit(self._gathered())

    def _gathered(self) -> Sequence[_Wanted]:
        gathered = [self._queue.popleft()]
        count = len(gathered[0].drafts)
        while self._queue and count + len(self._queue[0].drafts) <= COMMIT_EVENTS:
            gathered.append(self._queue.popleft())
            count += len(gathered[-1].drafts)
        return gathered

    async def _commit(self, gathered: Sequence[_Wanted]) -> None:
        batches, bounds = [wanted.drafts for wanted in gathered], Bounds(self._clock(), self._wished_tail())
        try:
            appended = await trio.to_thread.run_sync(
                self._writer.append, batches, bounds, abandon_on_cancel=True, limiter=self._writing
            )
        except StorageError as error:
            for wanted in gathered:
                wanted.receipts.fail(StorageError(str(error)))
            return
        except Exception as error:  # noqa: BLE001 - whoever appends is told; the next append is another try
            for wanted in gathered:
                wanted.receipts.fail(error)
            return
        self._advance(appended, bounds.moment)
        for wanted, receipts in zip(gathered, appended.receipts, strict=True):
            wanted.receipts.succeed(receipts)

    def _advance(self, appended: Appended, moment: float) -> None:
        """What has been committed is there, also what was reported as failed before it and is on the disk."""
        events = appended.events
        if self._writer.head == self._head:
            return
        self._head = self._writer.head
        if events:
            self._remember(events)
        self._note_arrival(moment)
        self._arrival.set()
        self._arrival = trio.Event()

    def _remember(self, events: Sequence[Event]) -> None:
        self._fresh.append(events)
        self._fresh_events += len(events)
        self._fresh_bytes += size_of(events)
        while len(self._fresh) > 1 and (self._fresh_events > FRESH_EVENTS or self._fresh_bytes > FRESH_BYTES):
            gone = self._fresh.popleft()
            self._fresh_events -= len(gone)
            self._fresh_bytes -= size_of(gone)

    async def check(self) -> None:
        moment = self._clock()
        await trio.to_thread.run_sync(
            self._writer.check, moment, abandon_on_cancel=True, limiter=self._writing
        )
        self._advance(Appended(), moment)  # an append that was reported as failed may be on the disk

    # ── letting go ───────────────────────────────────────────────────────────────────────────────────

    async def tidy(self) -> None:
        """The task that lets go of what is too old, though nothing is appended."""
        while True:
            await trio.sleep(TIDY_S)
            try:
                while await self._tidy_step():
                    pass
            except StorageError:
                continue  # whoever appends is told, and `check` tells whoever asks

    async def _tidy_step(self) -> bool:
        bounds = Bounds(self._clock(), self._wished_tail())
        return await trio.to_thread.run_sync(
            self._writer.tidy, bounds, abandon_on_cancel=True, limiter=self._writing
        )

    def _wished_tail(self) -> int:
        """The offset up to which history may be let go of: beyond the limits, and given to all who follow."""
        oldest = self._clock() - self._settings.max_age_s
        while self._arrivals and self._arrivals[0][0] <= oldest:
            self._tail = max(self._tail, min(self._arrivals[0][1], self._given()))
            if self._arrivals[0][1] > self._tail:
                break
            self._arrivals.popleft()
        by_count = min(self._head - self._settings.max_events, self._given())
        self._tail = max(self._tail, by_count)
        return self._tail

    def _given(self) -> int:
        return min(self._followed.values(), default=self._head)

    def _note_arrival(self, moment: float) -> None:
        if self._arrivals and moment - self._group_began < self._settings.max_age_s / AGE_STEPS:
            self._arrivals[-1] = (moment, self._head)
        else:
            self._group_began = moment
            self._arrivals.append((moment, self._head))

    # ── read ─────────────────────────────────────────────────────────────────────────────────────────

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        follower = object()
        self._followed[follower] = at = after.offset
        try:
            while True:
                if at >= self._head:
                    await self._arrival.wait()
                    continue
                batch = self._fresh_after(at)
                if batch is None:
                    page = await self._page(_EVERYTHING, at, FOLLOWED_EVENTS, tail=at)
                    batch, at = page.events, page.reached.offset
                else:
                    at = batch[-1].position.offset
                self._followed[follower] = at
                if batch:
                    yield batch
                    await trio.lowlevel.checkpoint()
        finally:
            del self._followed[follower]

    def _fresh_after(self, offset: int) -> Sequence[Event] | None:
        """The rest of the batch that holds what follows `offset`; None if it is not remembered any more."""
        at = bisect_left(self._fresh, offset + 1, key=lambda batch: batch[-1].position.offset)
        if at == len(self._fresh) or self._fresh[at][0].position.offset > offset + 1:
            return None
        batch = self._fresh[at]
        return batch[bisect_right(batch, offset, key=lambda event: event.position.offset) :]

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        return await self._page(selection, after.offset, limit, tail=self._wished_tail())

    async def _page(self, selection: Selection, after: int, limit: int, *, tail: int) -> Page:
        view = View(tail, self._head, self._clock())
        return await trio.to_thread.run_sync(
            self._reader.read, selection, after, limit, view, abandon_on_cancel=True, limiter=self._reading
        )

    async def latest(self, selection: Selection) -> Newest:
        view = View(self._wished_tail(), self._head, self._clock())
        return await trio.to_thread.run_sync(
            self._reader.latest, selection, view, abandon_on_cancel=True, limiter=self._reading
        )

    def head(self) -> Position:
        return Position(self._epoch, self._head)

    def tail(self) -> Position:
        return Position(self._epoch, self._wished_tail())

    async def close(self) -> None:
        """Wait for what is being written, and close the file."""
        self._reader.close()
        await trio.to_thread.run_sync(self._writer.close, abandon_on_cancel=True, limiter=self._writing)


_EVERYTHING = Selection(["**"])


@asynccontextmanager
async def open_sqlite(
    settings: StorageSettings, clock: Callable[[], float] | None = None
) -> AsyncIterator[Storage]:
    """The storage in the file `path` of the engine's table. Raises StorageError: it cannot be used."""
    path, synchronous = Path(settings.table["path"]), settings.table["synchronous"]
    database = await trio.to_thread.run_sync(open_database, path, synchronous)
    writer = Writer(database, settings)
    try:
        arrivals = await trio.to_thread.run_sync(writer.load)
    except BaseException:
        writer.close()
        raise
    clock = clock or steady_clock(arrivals[-1][0] if arrivals else 0.0)
    storage = SqliteStorage(database, writer, arrivals, settings, clock)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(storage.write)
            nursery.start_soon(storage.tidy)
            yield storage
            nursery.cancel_scope.cancel()
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await storage.close()
