"""What the reading threads do: pages of history, and what is newest.

Every answer of SQLite's is one row that holds whole columns, and is taken apart here. Measured reason: see
`writer`; a page of a thousand rows would let go of the interpreter a thousand times.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from heapq import merge
from operator import attrgetter

from attrs import frozen

from adohub import Event, Newest, Page, Position, Selection, from_fields
from adohub.builtin.sqlite.database import Database
from adohub.builtin.sqlite.faults import translated

SCAN_EVENTS = 4096
"""The most events that one page is looked for among."""

PAGE_BYTES = 1024 * 1024
"""How many bytes of payload one page holds; a single larger event is a page by itself."""

NEWEST_EVENTS = 1024
"""How many of the newest are read at a time."""

_position, _event = from_fields(Position), from_fields(Event)
_by_position = attrgetter("position")

_COLUMNS = """
    SELECT json_group_array(offset), json_group_array(topic), json_group_array(key),
        json_group_array(timestamp), CAST(group_concat(body, x'0A') AS BLOB) FROM
"""

_TOPICS = """
    WITH RECURSIVE known(topic) AS (
        SELECT min(topic) FROM events
        UNION ALL
        SELECT (SELECT min(topic) FROM events WHERE topic > known.topic) FROM known WHERE topic IS NOT NULL
    )
    SELECT json_group_array(topic) FROM known WHERE topic IS NOT NULL
"""
"""Every topic there is, by as many steps in the index as there are topics."""


@frozen
class View:
    """What there is to see: history is what lies after `tail` up to `head` (offsets), at `moment`."""

    tail: int
    head: int
    moment: float


class Reader:
    """The reading side of `database`. Its methods may run in many threads at once, and raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: deque[sqlite3.Connection] = deque()

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    # ── pages ────────────────────────────────────────────────────────────────────────────────────────

    def read(self, selection: Selection, after: int, limit: int, view: View) -> Page:
        """See `adohub.Storage.read`."""
        begin = max(after, view.tail)
        with translated(self._database.path):
            connection = self._borrowed()
            if selection.is_exact and selection.key is not None:
                found, reached = self._of_key(connection, selection, begin, limit, view)
            else:
                found, reached = self._scanned(connection, selection, begin, limit, view)
            self._idle.append(connection)
        end = max(after, reached)
        return Page(selection.choose(found), self._at(end), more=end < view.head)

    def _of_key(
        self, connection: sqlite3.Connection, selection: Selection, begin: int, limit: int, view: View
    ) -> tuple[Sequence[Event], int]:
        """The next `limit` events of this key, and how far that looked: each topic's index is in order."""
        found, reached = [], view.head
        for topic in selection.topics:
            events, ended = self._page(
                connection,
                "topic = ? AND key IS ? AND offset > ? AND offset <= ?",
                (topic, selection.key, begin, view.head),
                limit,
            )
            found.append(events)
            if not ended:
                reached = min(reached, events[-1].position.offset)
        merged = [event for event in merge(*found, key=_by_position) if event.position.offset <= reached]
        if len(merged) > limit:
            merged = merged[:limit]
            reached = merged[-1].position.offset
        return merged, reached

    def _scanned(
        self, connection: sqlite3.Connection, selection: Selection, begin: int, limit: int, view: View
    ) -> tuple[Sequence[Event], int]:
        """The next `limit` events of these topics among the next few thousand, and how far that looked."""
        end = min(begin + SCAN_EVENTS, view.head)
        condition, values = "offset > ? AND offset <= ?", [begin, end]
        topics = self._topics(connection, selection)
        if topics is not None:
            condition += " AND +topic IN (SELECT value FROM json_each(?))"
        events, ended = self._page(
            connection, condition, (*values, json.dumps(topics))[: 2 + (topics is not None)], limit
        )
        return events, end if ended else events[-1].position.offset

    def _page(
        self, connection: sqlite3.Connection, condition: str, values: Sequence[object], limit: int
    ) -> tuple[Sequence[Event], bool]:
        """The first events of `condition`, and whether those were all: `limit` and PAGE_BYTES cut them."""
        [measured] = connection.execute(
            "SELECT group_concat(length(body)) FROM"
            f" (SELECT body FROM events WHERE {condition} ORDER BY offset LIMIT ?)",
            (*values, limit),
        ).fetchone()
        if measured is None:
            return [], True
        sizes = list(map(int, str(measured).split(",")))
        count = _fitting(sizes)
        row = connection.execute(
            f"{_COLUMNS} (SELECT * FROM events WHERE {condition} ORDER BY offset LIMIT ?)", (*values, count)
        ).fetchone()
        return self._events(row), count == len(sizes) < limit

    def _topics(self, connection: sqlite3.Connection, selection: Selection) -> Sequence[str] | None:
        """The topics to look for, or None for all there are."""
        if "**" in selection.topics and selection.visible is None:
            return None
        if selection.is_exact:
            return [topic for topic in selection.topics if selection.covers(topic)]
        [known] = connection.execute(_TOPICS).fetchone()
        return [topic for topic in json.loads(known) if selection.covers(topic)]

    # ── the newest ───────────────────────────────────────────────────────────────────────────────────

    def latest(self, selection: Selection, view: View) -> Newest:
        """See `adohub.Storage.latest`. It may know of later events than `view` does."""
        with translated(self._database.path):
            connection = self._borrowed()
            connection.execute("BEGIN")
            try:
                [newest] = connection.execute(
                    "SELECT max((SELECT coalesce(max(offset), 0) FROM events), ?)", (view.head,)
                ).fetchone()
                events, ended = self._latest(connection, selection, view)
            finally:
                connection.execute("ROLLBACK")
            self._idle.append(connection)
        return Newest(events, self._at(newest), frozenset(map(self._at, ended)))

    def _latest(
        self, connection: sqlite3.Connection, selection: Selection, view: View
    ) -> tuple[Sequence[Event], Sequence[int]]:
        one_key = selection.is_exact and selection.key is not None
        condition, values = "1", list[object]()
        topics = self._topics(connection, selection)
        if topics is not None:
            condition, values = "topic IN (SELECT value FROM json_each(?))", [json.dumps(topics)]
        if selection.key is not None:
            condition, values = f"{condition} AND key IS ?", [*values, selection.key]
        if selection.prefix:
            condition = f"{condition} AND substr(key, 1, ?) = ?"
            values += [len(selection.prefix), selection.prefix]
        shown = "(gone_at IS NULL OR gone_at > ? OR (? AND offset > ?))"
        [found, ended] = connection.execute(
            "SELECT json_group_array(offset), json_group_array(gone_at IS NOT NULL) FROM"
            f" (SELECT offset, gone_at FROM events WHERE offset IN (SELECT max(offset) FROM events"
            f" WHERE {condition} GROUP BY topic, key) AND {shown} ORDER BY offset)",
            (*values, view.moment, one_key, view.tail),
        ).fetchone()
        offsets: list[int] = json.loads(found)
        gone = [offset for offset, is_ended in zip(offsets, json.loads(ended), strict=True) if is_ended]
        if not selection.where:
            return selection.choose(list(self._at_offsets(connection, offsets))), gone
        return self._newest_chosen(connection, selection, offsets), gone

    def _newest_chosen(
        self, connection: sqlite3.Connection, selection: Selection, newest: Sequence[int]
    ) -> Sequence[Event]:
        """For each of `newest` itself, or else the newest before it of its topic and key that is chosen."""
        chosen: list[Event] = []
        for event in self._at_offsets(connection, newest):
            found = event if selection.chooses(event) else self._one_before(connection, selection, event)
            chosen += [found] if found is not None else []
        return sorted(chosen, key=_by_position)

    def _one_before(self, connection: sqlite3.Connection, selection: Selection, event: Event) -> Event | None:
        at = event.position.offset
        while True:
            [found] = connection.execute(
                "SELECT json_group_array(offset) FROM (SELECT offset FROM events"
                " WHERE topic = ? AND key IS ? AND offset < ? ORDER BY offset DESC LIMIT ?)",
                (event.topic, event.key, at, NEWEST_EVENTS),
            ).fetchone()
            offsets: list[int] = sorted(json.loads(found))
            if not offsets:
                return None
            older = selection.choose(list(self._at_offsets(connection, offsets)))
            if older:
                return older[-1]
            at = offsets[0]

    def _at_offsets(self, connection: sqlite3.Connection, offsets: Sequence[int]) -> Iterator[Event]:
        for start in range(0, len(offsets), NEWEST_EVENTS):
            some = json.dumps(offsets[start : start + NEWEST_EVENTS])
            row = connection.execute(
                f"{_COLUMNS} (SELECT * FROM events WHERE offset IN (SELECT value FROM json_each(?))"
                " ORDER BY offset)",
                (some,),
            ).fetchone()
            yield from self._events(row)

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────

    def _events(self, row: Sequence[str | bytes | None]) -> Sequence[Event]:
        offsets, topics, keys, timestamps, bodies = row
        if bodies is None:
            return []
        assert isinstance(bodies, bytes)
        columns = [json.loads(column or "[]") for column in (offsets, topics, keys, timestamps)]
        positions = [_position((self._database.epoch, offset)) for offset in columns[0]]
        rows = zip(positions, columns[1], columns[2], bodies.split(b"\n"), columns[3], strict=True)
        return list(map(_event, rows))

    def _borrowed(self) -> sqlite3.Connection:
        """A connection of the caller's own, who puts it back unless it has failed."""
        return self._idle.pop() if self._idle else self._database.connect_for_reading()

    def _at(self, offset: int) -> Position:
        return _position((self._database.epoch, offset))


def _fitting(sizes: Sequence[int]) -> int:
    """How many of `sizes`, from the first one on, are no more than PAGE_BYTES; at least one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > PAGE_BYTES:
            return count
    return len(sizes)
