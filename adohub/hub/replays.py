"""History, read and framed once for all who replay the same of it.

What lies between two positions never changes, so a page that one subscriber was given serves all of the same
interest. Whoever waits for room holds none, and asks again: what a slow reader costs is its position.

Law: replaying takes turns, and what is live goes first. In one step of the scheduler one page is framed or
some kilobytes are handed to one socket; and while events are on their way to storage and from there to who is
live, replays rest most of the time.

Measured reason for the rests: as long as this thread has something to do, a storage engine's thread may
wait for several ticks of the kernel's clock (4 ms each) until it gets a processor to go on with its commit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import accumulate
from operator import attrgetter

import trio
from attrs import field, frozen

from adohub.hub.cohort import Interest
from adohub.hub.journal import Journal
from adohub.model import Event, Position
from adohub.plugin.storage import Page
from adohub.wire.encode import View
from adohub.wire.messages import Stopped

PAGE_EVENTS = 512
"""How many events one read of a replay asks for."""

CHUNK_BYTES = 32 * 1024
"""How much of a replay is handed to a socket at a time."""

ENVELOPE_BYTES = 100
"""By how much a message is longer than its payload, about."""

KEPT_BYTES = 16 * 1024 * 1024
"""How many bytes of pages are kept for others who replay the same."""

READS = 4
"""How many replays may be reading at a time."""

BURST_S = 0.00025
"""For how long replays go on without a rest while events are on their way, in seconds."""

REST_S = 0.001
"""How long they rest then, in seconds, unless all have arrived: a fifth of the time is theirs in any case."""

_begins = attrgetter("after")


@frozen
class Piece:
    """Some whole frames for one socket: `messages` of them, which bring it to `last`, or to the very end."""

    frames: bytes
    messages: int
    last: Position
    completes: bool


@frozen(eq=False)
class FramedPage:
    """What an interest is shown of all that lies after one position, up to another.

    `positions` are of the events that are shown, `ends` where the frame of each ends in `frames`. A page that
    `completes` ends with the event that completes the interest, shown or not, and with `stopped`.
    """

    after: Position
    reached: Position
    frames: bytes = field(repr=False)
    positions: Sequence[Position] = field(repr=False)
    ends: Sequence[int] = field(repr=False)
    messages: int
    completes: bool
    is_whole: bool
    """Whether retention had let go of none of it by the time that it was read; otherwise it begins later."""

    def holds(self, position: Position) -> bool:
        """Whether `position` lies in it, and not at its end."""
        return self.after <= position < self.reached and self.after.epoch == position.epoch

    def piece(self, position: Position) -> Piece:
        """The first kilobytes of what comes after `position`."""
        first = bisect_right(self.positions, position)
        start = self.ends[first - 1] if first else 0
        end = bisect_left(self.ends, start + CHUNK_BYTES) + 1
        if end >= len(self.ends):
            return Piece(self.frames[start:], self.messages - first, self.reached, self.completes)
        frames = self.frames[start : self.ends[end - 1]]
        return Piece(frames, end - first, self.positions[end - 1], completes=False)


def framed(interest: Interest, after: Position, page: Page, *, is_whole: bool = True) -> FramedPage:
    """`page`, which was read for `interest` from `after` on, as far as an event that completes it."""
    events, reached, end = page.events, page.reached, None
    if interest.completes_on is not None:
        end = next((at for at, event in enumerate(events) if interest.completed_by(event)), None)
    if end is not None:
        events, reached = events[: end + 1], events[end].position
    shown = events if interest.shows_all else interest.selection.choose(events)
    positions = [event.position for event in shown]
    frames = data_frames(shown, interest, interest.view)
    messages = len(frames)
    if end is not None:
        messages += 1
        if not positions or positions[-1] != reached:
            positions.append(reached)
            frames.append(b"")
        frames[-1] += interest.dialect.message(Stopped(interest.tag))
    ends = list(accumulate(map(len, frames)))
    return FramedPage(after, reached, b"".join(frames), positions, ends, messages, end is not None, is_whole)


def data_frames(events: Iterable[Event], interest: Interest, view: View) -> list[bytes]:
    """The data messages of `events` for `interest`, but in this `view`."""
    dialect = interest.dialect
    prefix = dialect.prefix(interest.tag)
    bodies = (dialect.body(event, view) for event in events)
    return [dialect.header(len(prefix) + len(body)) + prefix + body for body in bodies]


def pieces(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """`events`, some kilobytes of payload at a time."""
    start = size = 0
    for number, event in enumerate(events, start=1):
        size += len(event.body) + len(event.notes) + ENVELOPE_BYTES
        if size >= CHUNK_BYTES:
            yield events[start:number]
            start, size = number, 0
    if start < len(events):
        yield events[start:]


class Shelf:
    """The pages of one interest, while somebody replays it."""

    def __init__(self, interest: Interest) -> None:
        self.interest = interest
        self.readers = 0
        self.pages: list[FramedPage] = []
        """In the order of where they begin."""
        self.reading: dict[Position, trio.lowlevel.ParkingLot] = {}
        """What is being read, by where that begins, and who waits for it."""

    def find(self, position: Position) -> FramedPage | None:
        """The page that begins last of those at or before `position`, if it leads beyond."""
        at = bisect_right(self.pages, position, key=_begins)
        return self.pages[at - 1] if at and self.pages[at - 1].holds(position) else None


class Turns:
    """A lock for the replays of a hub: whoever holds it frames a page or hands out a piece.

    Getting it includes the rests.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = trio.Lock()
        self._burst_began = trio.current_time()

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        try:
            if self._journal.is_busy and trio.current_time() - self._burst_began >= BURST_S:
                with trio.move_on_after(REST_S):
                    await self._journal.quiet()
                self._burst_began = trio.current_time()
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave it, without a checkpoint."""
        self._lock.release()


class Replays:
    """All replays of a hub. `turn` is held by whoever hands out a piece."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._shelves: dict[Interest, Shelf] = {}
        self._kept: OrderedDict[FramedPage, Shelf] = OrderedDict()
        self._kept_bytes = 0
        self._reads = trio.CapacityLimiter(READS)
        self.turn = Turns(journal)

    @contextmanager
    def shelf(self, interest: Interest) -> Iterator[Shelf]:
        """The shelf for `interest`; the last to leave the context clears it."""
        shelf = self._shelves.setdefault(interest, Shelf(interest))
        shelf.readers += 1
        try:
            yield shelf
        finally:
            shelf.readers -= 1
            if not shelf.readers:
                del self._shelves[interest]
                for page in list(shelf.pages):
                    self._forget(page)

    def at_hand(self, shelf: Shelf, position: Position) -> FramedPage | None:
        """What comes after `position`, if nothing has to be read for it."""
        page = shelf.find(position)
        if page is None:
            recent = self._journal.recent(shelf.interest.reading, position)
            if recent is not None:
                page = self._keep(shelf, framed(shelf.interest, position, recent))
        return page

    def has_at_hand(self, shelf: Shelf, position: Position) -> bool:
        """Whether `at_hand` would find something."""
        return self._journal.remembers(position) or shelf.find(position) is not None

    @asynccontextmanager
    async def fetched(self, shelf: Shelf, position: Position) -> AsyncIterator[FramedPage | None]:
        """What comes after `position`, from storage; None when somebody else has just read it.

        Only READS may be in this context, since each holds a page that others' may have pushed off the shelf.
        Raises StorageError.
        """
        reading = shelf.reading.get(position)
        if reading is not None:
            await reading.park()
            reading.unpark()  # one after the other: a hundred at once would hold up everybody else
            yield None
            return
        shelf.reading[position] = waiting = trio.lowlevel.ParkingLot()
        async with AsyncExitStack() as permit:
            try:
                await permit.enter_async_context(self._reads)
                page = await self._read(shelf, position)
            finally:
                del shelf.reading[position]
                waiting.unpark()
            yield page

    async def _read(self, shelf: Shelf, position: Position) -> FramedPage:
        page = await self._journal.read(shelf.interest.reading, position, PAGE_EVENTS)
        tail = self._journal.tail
        is_whole = position >= tail or position.epoch != tail.epoch
        async with self.turn:
            return self._keep(shelf, framed(shelf.interest, position, page, is_whole=is_whole))

    def _keep(self, shelf: Shelf, page: FramedPage) -> FramedPage:
        if page.reached == page.after or not page.is_whole:
            return page
        insort(shelf.pages, page, key=_begins)
        self._kept[page] = shelf
        self._kept_bytes += len(page.frames)
        while self._kept_bytes > KEPT_BYTES:
            self._forget(next(iter(self._kept)))
        return page

    def _forget(self, page: FramedPage) -> None:
        self._kept.pop(page).pages.remove(page)
        self._kept_bytes -= len(page.frames)
