"""The `memory` storage engine: everything in this process, gone with it.

Every start is a new epoch, so that ids of an earlier run are known for what they are. Events are found by
offset without a search, and by (topic, key) through an index; the newest of each (topic, key) outlives the
limits of history.

What is kept is kept as plain tuples, and becomes an Event when it is read. Measured reason: the garbage
collector looks at every Event again and again (for 100,000 of them a pause of 50 ms), at a plain tuple of
texts and numbers only once.
"""

from __future__ import annotations

import secrets
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from heapq import merge
from itertools import chain, islice
from typing import Any

import trio

from adohub import (
    Draft,
    Event,
    Newest,
    Page,
    Position,
    Receipt,
    Repeats,
    Selection,
    Storage,
    StorageEngine,
    StorageSettings,
    Unshared,
    from_fields,
    hookimpl,
)
from adohub.builtin.memory.newest import NewestOfKeys, Place, Record

BATCH_EVENTS = 1024
"""The most events that one batch of `follow` holds."""

SCAN_EVENTS = 4096
"""The most events that one `read` looks at, so that no other task waits long for it."""

TRIM_SLACK = 256
"""How many events beyond the limits may still take up memory."""

_position, _event, _receipt = from_fields(Position), from_fields(Event), from_fields(Receipt)


class MemoryStorage(Unshared):
    """See `adohub.Storage`. `clock` gives seconds; it dates events, idempotency keys and ended keys."""

    def __init__(self, settings: StorageSettings, clock: Any = time.monotonic) -> None:
        self._settings = settings
        self._instance = settings.instance
        self._clock = clock
        self._epoch = f"{int(time.time()):08x}{secrets.token_hex(2)}"
        self._records: list[Record] = []
        self._arrived_at: list[float] = []
        self._base_offset = self._first_offset = 1
        self._by_key: dict[Place, list[Record]] = {}
        """Of each place what history has, in order, perhaps behind some that it has let go of."""
        self._newest = NewestOfKeys(settings)
        self._repeats = Repeats(settings)
        self._followed: dict[object, int] = {}
        self._arrival = trio.Event()

    # ── append ───────────────────────────────────────────────────────────────────────────────────────

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        await trio.lowlevel.checkpoint()
        moment = self._clock()
        self._repeats.forget(moment)
        receipts = [self._keep(draft, moment) for draft in drafts]
        self._trim(moment)
        self._arrival.set()
        self._arrival = trio.Event()
        return receipts

    async def check(self) -> None:
        await trio.lowlevel.checkpoint()

    def _keep(self, draft: Draft, moment: float) -> Receipt:
        topic, key, body, timestamp, name, idempotency_key, ends, if_revision, notes = draft
        author = (name, idempotency_key) if idempotency_key else None
        first = self._repeats.find(author, moment) if author is not None else None
        if first is not None:
            return first
        place = (topic, key)
        if if_revision is not None or topic in self._settings.state_keys:
            rejection = self._newest.rejection(place, if_revision)
            if rejection:
                found = Position(self._epoch, self._newest.revision(place))
                return Receipt(found, "", rejected=rejection)
        offset = self._base_offset + len(self._records)
        record = (offset, topic, key, body, timestamp, notes)
        self._records.append(record)
        self._arrived_at.append(moment)
        bucket = self._by_key.get(place)
        if bucket is None:
            bucket = self._by_key[place] = []
        bucket.append(record)
        self._newest.put(place, record)
        for ended in ends:
            self._newest.end((ended, key), moment)
        receipt = _receipt((_position((self._epoch, offset)), timestamp, False, ""))
        if author is not None:
            self._repeats.note(author, moment, receipt)
        return receipt

    def _trim(self, moment: float) -> None:
        """Let go of what is beyond the limits, and what every follower has been given.

        The list itself is shortened only now and then.
        """
        kept_from = self._first_offset - self._base_offset
        excess = len(self._records) - kept_from - self._settings.max_events
        expired = bisect_right(self._arrived_at, moment - self._settings.max_age_s, lo=kept_from) - kept_from
        given = min(self._followed.values(), default=self.head().offset) - (self._first_offset - 1)
        count = min(max(excess, expired), given)
        if count > 0:
            self._first_offset += count
            for place in {record[1:3] for record in self._records[kept_from : kept_from + count]}:
                self._shorten_index(place)
        if self._first_offset - self._base_offset > TRIM_SLACK:
            gone = self._first_offset - self._base_offset
            del self._records[:gone], self._arrived_at[:gone]
            self._base_offset = self._first_offset
        self._newest.let_go(moment, self._by_key)

    def _shorten_index(self, place: Place) -> None:
        """Let go of what history has not any more, once it is half of what there is."""
        bucket = self._by_key[place]
        gone = bisect_left(bucket, (self._first_offset,))
        if gone == len(bucket):
            del self._by_key[place]
            self._newest.left_history(place)
        elif 2 * gone >= len(bucket):
            del bucket[:gone]

    # ── read ─────────────────────────────────────────────────────────────────────────────────────────

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
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
                else:
                    await self._arrival.wait()
        finally:
            del self._followed[follower]

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        await trio.lowlevel.checkpoint()
        self._trim(self._clock())
        indexed = selection.is_exact and selection.key is not None
        candidates, reached = self._of_key(selection, after.offset, limit) if indexed else self._scan(after)
        chosen = list(islice(self._chosen(candidates, selection), limit))
        end = chosen[-1].position if len(chosen) == limit else max(after, Position(self._epoch, reached))
        return Page(chosen, end, more=end < self.head())

    def _of_key(self, selection: Selection, after: int, limit: int) -> tuple[Iterable[Record], int]:
        """The next events of this key, `limit` or more if there are, and up to where those are all."""
        found = [self._of_place((topic, selection.key), after, limit) for topic in selection.topics]
        reached = min((some[-1][0] for some in found if len(some) == limit), default=self.head().offset)
        return (record for record in merge(*found) if record[0] <= reached), reached

    def _of_place(self, place: Place, after: int, limit: int) -> Sequence[Record]:
        """What history has of `place` after that offset, at most `limit` of it."""
        bucket = self._by_key.get(place, [])
        start = bisect_left(bucket, (max(after + 1, self._first_offset),))
        return bucket[start : start + limit]

    def _scan(self, after: Position) -> tuple[Iterable[Record], int]:
        window = self._slice(after, SCAN_EVENTS)
        return window, window[-1][0] if window else self.head().offset

    def _slice(self, after: Position, count: int) -> Sequence[Record]:
        start = max(after.offset + 1, self._first_offset) - self._base_offset
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
        return _event((_position((self._epoch, offset)), topic, key, body, timestamp, notes))

    async def latest(self, selection: Selection) -> Newest:
        await trio.lowlevel.checkpoint()
        self._trim(self._clock())
        position = self.head()
        ended = frozenset(Position(self._epoch, offset) for offset in self._newest.ended())
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
            history = self._records[self._first_offset - self._base_offset :] if selection.where else []
            buckets = [[record for record in history if not self._newest.is_gone(record[1:3])]]
        older = [record for record in newest if record[0] < self._first_offset or not selection.where]
        return chain(older, *buckets)

    def head(self) -> Position:
        return Position(self._epoch, self._base_offset + len(self._records) - 1)

    def tail(self) -> Position:
        self._trim(self._clock())
        return Position(self._epoch, self._first_offset - 1)


@asynccontextmanager
async def open_memory(settings: StorageSettings) -> AsyncIterator[Storage]:
    """A fresh memory storage."""
    yield MemoryStorage(settings)


@hookimpl
def adohub_storage_engines(config: object) -> list[StorageEngine]:
    return [StorageEngine("memory", open_memory)]
