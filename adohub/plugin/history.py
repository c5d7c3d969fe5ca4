"""What there has been, in memory: found by offset, by (topic, key), and the newest of each.

For engines that answer out of memory. Offsets grow, but need not follow one another: one who keeps a log
elsewhere may skip some. The newest of each (topic, key) outlives the limits of history.

What is kept is kept as plain tuples, and becomes an Event when it is read. Measured reason: the garbage
collector looks at every Event again and again (for 100,000 of them a pause of 50 ms), at a plain tuple of
texts and numbers only once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from functools import cache
from heapq import merge
from itertools import chain, islice

import trio

from adohub.model import Event, Position, from_fields
from adohub.plugin.newest import NewestOfKeys, Place, Record
from adohub.plugin.storage import Newest, Page, Rejection, StorageSettings
from adohub.topics import Selection

BATCH_EVENTS = 1024
"""The most events that one batch of `follow` holds."""

SCAN_EVENTS = 4096
"""The most events that one `read` looks at, so that no other task waits long for it."""

TRIM_SLACK = 256
"""How many events beyond the limits may still take up memory."""

_position, _event = from_fields(Position), from_fields(Event)


class History:
    """The events of one epoch that came after offset `after`. `clock` gives seconds, as `add` is given them.

    `follow`, `read`, `latest`, `head` and `tail` are what `adohub.Storage` promises.
    """

    def __init__(
        self, settings: StorageSettings, epoch: str, clock: Callable[[], float], *, after: int = 0
    ) -> None:
        self.epoch = epoch
        self._settings = settings
        self._clock = clock
        self._records: list[Record] = []
        self._arrived_at: list[float] = []
        self._first = 0
        """How many of `_records` are let go of already."""
        self._head = self._tail = after
        self._by_key: dict[Place, list[Record]] = {}
        """Of each place what history has, in order, perhaps behind some that it has let go of."""
        self._newest = NewestOfKeys(settings)
        self._followed: dict[object, int] = {}
        self._arrival = trio.Event()
        self._is_closed = False

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────

    def add(self, record: Record, ends: Sequence[str], moment: float) -> None:
        """Keep the newest of all, which arrived at `moment`; of these topics its key has `ends` now.

        Whoever follows is told of it, and of all others, by `tell`.
        """
        self._records.append(record)
        self._arrived_at.append(moment)
        self._head = record[0]
        place = record[1:3]
        bucket = self._by_key.get(place)
        if bucket is None:
            bucket = self._by_key[place] = []
        bucket.append(record)
        self._newest.put(place, record)
        for ended in ends:
            self._newest.end((ended, record[2]), moment)

    def recall(self, record: Record, ended_at: float | None) -> None:
        """Keep the newest of a place, that lies beyond history; to be called before anything is added."""
        place = record[1:3]
        self._newest.put(place, record)
        if ended_at is not None:
            self._newest.end(place, ended_at)

    def tell(self) -> None:
        """Wake those who follow."""
        self._arrival.set()
        self._arrival = trio.Event()

    def close(self) -> None:
        """Nothing more will be added: who follows is given what there is, and then it ends."""
        self._is_closed = True
        self.tell()

    def trim(self, moment: float) -> None:
        """Let go of what is beyond the limits, and what every follower has been given.

        The list itself is shortened only now and then.
        """
        excess = len(self._records) - self._first - self._settings.max_events
        expired = bisect_right(self._arrived_at, moment - self._settings.max_age_s, lo=self._first)
        given = self._index(min(self._followed.values(), default=self._head))
        gone = min(max(self._first + excess, expired), given)
        if gone > self._first:
            self._tail = self._records[gone - 1][0]
            places = {record[1:3] for record in self._records[self._first : gone]}
            self._first = gone
            for place in places:
                self._shorten_index(place)
        if self._first > TRIM_SLACK:
            del self._records[: self._first], self._arrived_at[: self._first]
            self._first = 0
        self._newest.let_go(moment, self._by_key)

    def _shorten_index(self, place: Place) -> None:
        """Let go of what history has not any more, once it is half of what there is."""
        bucket = self._by_key[place]
        gone = bisect_left(bucket, (self._tail + 1,))
        if gone == len(bucket):
            del self._by_key[place]
            self._newest.left_history(place)
        elif 2 * gone >= len(bucket):
            del bucket[:gone]

    @property
    def given(self) -> Position:
        """Up to where all who follow have been given everything."""
        return Position(self.epoch, min(self._followed.values(), default=self._head))

    @property
    def undelivered(self) -> int:
        """How many events those who follow have not all been given."""
        return len(self._records) - self._index(self.given.offset)

    def _index(self, offset: int) -> int:
        """Where in the list that begins which comes after `offset`."""
        if offset >= self._head:
            return len(self._records)
        return bisect_left(self._records, (offset + 1,), lo=self._first)

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────

    def revision(self, place: Place) -> int:
        """The offset of the newest of `place`; 0 if there is none, or it has ended."""
        return self._newest.revision(place)

    def rejection(self, place: Place, if_revision: int | None) -> Rejection:
        """Why a conditional draft for `place`, or one of a state topic, is not to be kept."""
        return self._newest.rejection(place, if_revision)

    # ── read ─────────────────────────────────────────────────────────────────────────────────────────

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        """See `adohub.Storage`; ends once it is closed."""
        follower = object()
        self._followed[follower] = after.offset
        try:
            while True:
                batch = list(map(self._event, self._slice(after, BATCH_EVENTS)))
                if batch:
                    after = batch[-1].position
                    self._followed[follower] = after.offset
                    yield batch
                    await trio.lowlevel.checkpoint()
                elif self._is_closed:
                    return
                else:
                    await self._arrival.wait()
        finally:
            del self._followed[follower]

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        """See `adohub.Storage`."""
        await trio.lowlevel.checkpoint()
        self.trim(self._clock())
        indexed = selection.is_exact and selection.key is not None
        candidates, reached = self._of_key(selection, after.offset, limit) if indexed else self._scan(after)
        chosen = list(islice(self._chosen(candidates, selection), limit))
        end = chosen[-1].position if len(chosen) == limit else max(after, Position(self.epoch, reached))
        return Page(chosen, end, more=end < self.head())

    def _of_key(self, selection: Selection, after: int, limit: int) -> tuple[Iterable[Record], int]:
        """The next events of this key, `limit` or more if there are, and up to where those are all."""
        found = [self._of_place((topic, selection.key), after, limit) for topic in selection.topics]
        reached = min((some[-1][0] for some in found if len(some) == limit), default=self.head().offset)
        return (record for record in merge(*found) if record[0] <= reached), reached

    def _of_place(self, place: Place, after: int, limit: int) -> Sequence[Record]:
        """What history has of `place` after that offset, at most `limit` of it."""
        bucket = self._by_key.get(place, [])
        start = bisect_left(bucket, (max(after, self._tail) + 1,))
        return bucket[start : start + limit]

    def _scan(self, after: Position) -> tuple[Iterable[Record], int]:
        window = self._slice(after, SCAN_EVENTS)
        return window, window[-1][0] if window else self.head().offset

    def _slice(self, after: Position, count: int) -> Sequence[Record]:
        start = self._index(max(after.offset, self._tail))
        return self._records[start : start + count]

    def _chosen(self, records: Iterable[Record], selection: Selection) -> Iterator[Event]:
        covers = cache(selection.covers)
        for record in records:
            if selection.key in (None, record[2]) and covers(record[1]):
                event = self._event(record)
                if selection.admits(event):
                    yield event

    def _event(self, record: Record) -> Event:
        offset, topic, key, body, timestamp, notes = record
        return _event((_position((self.epoch, offset)), topic, key, body, timestamp, notes))

    async def latest(self, selection: Selection) -> Newest:
        """See `adohub.Storage`."""
        await trio.lowlevel.checkpoint()
        self.trim(self._clock())
        position = self.head()
        ended = frozenset(Position(self.epoch, offset) for offset in self._newest.ended())
        newest: dict[Place, Event] = {}
        records = self._candidates(selection)
        while some := list(islice(records, SCAN_EVENTS)):
            newest |= {(event.topic, event.key): event for event in self._chosen(some, selection)}
            if len(some) == SCAN_EVENTS:
                await trio.lowlevel.checkpoint()
        return Newest(sorted(newest.values(), key=lambda event: event.position), position, ended)

    def _candidates(self, selection: Selection) -> Iterator[Record]:
        """What `latest` has to look at, the newest of each place last. As it is now: others may append."""
        if selection.is_exact and selection.key is not None:
            places = [(topic, selection.key) for topic in selection.topics]
            newest = [record for place in places if (record := self._newest.get(place)) is not None]
            buckets = (
                [self._of_place(place, 0, len(self._records)) for place in places] if selection.where else []
            )
        else:
            newest = list(self._newest.shown())
            history = self._records[self._first :] if selection.where else []
            buckets = [[record for record in history if not self._newest.is_gone(record[1:3])]]
        older = [record for record in newest if record[0] <= self._tail or not selection.where]
        return chain(older, *buckets)

    def head(self) -> Position:
        """See `adohub.Storage`."""
        return Position(self.epoch, self._head)

    def tail(self) -> Position:
        """See `adohub.Storage`."""
        self.trim(self._clock())
        return Position(self.epoch, self._tail)
