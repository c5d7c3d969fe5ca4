"""What the reading threads do: pages of history, and what is newest.

Every answer of SQLite's is one row that holds whole columns, and is taken apart here. Measured reason: see
`writer`; a page of a thousand rows would let go of the interpreter a thousand times.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import repeat
from operator import attrgetter
from typing import Any

from attrs import frozen

from adohub import Event, Newest, Page, Position, Selection, from_fields
from adohub.builtin.sqlite.database import Database
from adohub.builtin.sqlite.faults import translated

SCAN_EVENTS = 4096
"""The most events that one page is looked for among."""

PAGE_BYTES = 1024 * 1024
"""How many bytes of payload one page holds; a single larger event is a page by itself."""

EVENT_BYTES = 1_000_000_000
"""How many bytes of payload that event has at most: SQLite's own limit, as Python has it compiled."""

MOST_EVENTS = 8192
"""The most events that are ever asked for at a time."""

NEWEST_EVENTS = 1024
"""How many of the newest are read at a time."""

_position, _event = from_fields(Position), from_fields(Event)
_by_position = attrgetter("position")

_COLUMNS_OF_PLACE = """
    SELECT CAST(group_concat(body, x'0A') AS BLOB), json_group_array(offset), json_group_array(timestamp),
        json_group_object(offset, notes) FILTER (WHERE notes IS NOT NULL)
"""
_COLUMNS = f"{_COLUMNS_OF_PLACE}, json_group_array(topic), json_group_array(key)"

_BETWEEN = "offset > ? AND offset <= ?"
_OF_TOPICS = f"{_BETWEEN} AND +topic IN (SELECT value FROM json_each(?))"
"""`+topic`: not by that index, which would be sorted by offset for each page."""
_OF_KEY = f"topic = ? AND key IS ? AND {_BETWEEN}"
_AT_OFFSETS = "offset IN (SELECT value FROM json_each(?)) AND offset > ?"

_TOPICS = """
    WITH RECURSIVE known(topic) AS (
        SELECT min(topic) FROM events
        UNION ALL
        SELECT (SELECT min(topic) FROM events WHERE topic > known.topic) FROM known WHERE topic IS NOT NULL
    )
    SELECT json_group_array(topic) FROM known WHERE topic IS NOT NULL
"""
"""Every topic there is, by as many steps in the index as there are topics."""

_NEWEST_OF_KEY = """
    SELECT (SELECT max(offset) FROM events WHERE topic = topics.value AND key IS :key)
    FROM json_each(:topics) AS topics
"""
_NEWEST_OF_KEYS = """
    SELECT * FROM (
        WITH RECURSIVE places(topic, key) AS (
            SELECT value, (SELECT min(key) FROM events WHERE topic = value AND key >= :first)
            FROM json_each(:topics)
            UNION ALL
            SELECT topic, (SELECT min(key) FROM events WHERE topic = places.topic AND key > places.key)
            FROM places WHERE key < :beyond OR (key IS NOT NULL AND :beyond IS NULL)
        )
        SELECT (SELECT max(offset) FROM events WHERE topic = places.topic AND key = places.key)
        FROM places WHERE key < :beyond OR :beyond IS NULL
    )
"""
"""Of every key from `:first` to before `:beyond`: a step for each, however long history is."""


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
        self._fits = MOST_EVENTS
        """How many events are believed to have no more than PAGE_BYTES."""

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
                connection, _OF_KEY, (topic, selection.key, begin, view.head), limit, (topic, selection.key)
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
        topics = self._topics(connection, selection)
        if topics is None:
            events, ended = self._page(connection, _BETWEEN, (begin, end), limit)
        else:
            events, ended = self._page(connection, _OF_TOPICS, (begin, end, json.dumps(topics)), limit)
        return events, end if ended else events[-1].position.offset

    def _page(
        self,
        connection: sqlite3.Connection,
        condition: str,
        values: Sequence[object],
        limit: int,
        place: tuple[str, str | None] | None = None,
    ) -> tuple[Sequence[Event], bool]:
        """The first events of `condition`, which may all be of one `place`, and whether those were all.

        At most `limit` of them, of no more than PAGE_BYTES: of what is too much for SQLite it gives nothing,
        and half as many are asked for. What did is remembered, not to try too many each time.
        """
        columns = _COLUMNS if place is None else _COLUMNS_OF_PLACE
        statement = f"{columns} FROM (SELECT * FROM events WHERE {condition} ORDER BY offset LIMIT ?)"
        count = min(limit, self._fits)
        while True:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, PAGE_BYTES if count > 1 else EVENT_BYTES)
            try:
                row = connection.execute(statement, (*values, count)).fetchone()
            except sqlite3.DataError:
                if count == 1:
                    raise
                count //= 2
            else:
                self._fits = min(2 * count, MOST_EVENTS)
                events = self._events(row, place)
                return events, len(events) < count
            finally:  # what is asked next on this connection is no page
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, EVENT_BYTES)

    def _topics(self, connection: sqlite3.Connection, selection: Selection) -> Sequence[str] | None:
        """The topics to look for, or None for all there are."""
        if "**" in selection.topics and selection.visible is None:
            return None
        if selection.is_exact:
            return [topic for topic in selection.topics if selection.covers(topic)]
        return [topic for topic in self._all_topics(connection) if selection.covers(topic)]

    def _all_topics(self, connection: sqlite3.Connection) -> Sequence[str]:
        return _listed(connection.execute(_TOPICS).fetchone()[0])

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
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            self._idle.append(connection)
        return Newest(events, self._at(newest), frozenset(map(self._at, ended)))

    def _latest(
        self, connection: sqlite3.Connection, selection: Selection, view: View
    ) -> tuple[Sequence[Event], Sequence[int]]:
        one_key = selection.is_exact and selection.key is not None
        topics = self._topics(connection, selection)
        if topics is None:
            topics = self._all_topics(connection)
        places = _NEWEST_OF_KEY
        values: dict[str, object] = {"topics": json.dumps(topics), "key": selection.key}
        if selection.key is None:
            places = _NEWEST_OF_KEYS if selection.prefix else f"{_NEWEST_OF_KEYS} UNION ALL {_NEWEST_OF_KEY}"
            values |= {"first": selection.prefix or "", "beyond": _beyond(selection.prefix or "")}
        values |= {"moment": view.moment, "one_key": one_key, "tail": view.tail}
        [found, ended] = connection.execute(
            "SELECT json_group_array(offset), json_group_array(gone_at IS NOT NULL) FROM"
            f" (SELECT offset, gone_at FROM events WHERE offset IN ({places})"
            " AND (gone_at IS NULL OR gone_at > :moment OR (:one_key AND offset > :tail)) ORDER BY offset)",
            values,
        ).fetchone()
        offsets: list[int] = json.loads(found)
        gone = [offset for offset, is_ended in zip(offsets, json.loads(ended), strict=True) if is_ended]
        if not selection.where:
            return selection.choose(list(self._at_offsets(connection, offsets))), gone
        return self._newest_chosen(connection, selection, offsets, view.tail), gone

    def _newest_chosen(
        self, connection: sqlite3.Connection, selection: Selection, newest: Sequence[int], tail: int
    ) -> Sequence[Event]:
        """For each of `newest` itself, or else the newest of its topic and key in history that is chosen."""
        chosen: list[Event] = []
        for event in self._at_offsets(connection, newest):
            if selection.chooses(event):
                chosen.append(event)
            elif older := self._one_before(connection, selection, event, tail):
                chosen.append(older)
        return sorted(chosen, key=_by_position)

    def _one_before(
        self, connection: sqlite3.Connection, selection: Selection, event: Event, tail: int
    ) -> Event | None:
        at = event.position.offset
        while True:
            [found] = connection.execute(
                "SELECT json_group_array(offset) FROM (SELECT offset FROM events"
                " WHERE topic = ? AND key IS ? AND offset < ? AND offset > ? ORDER BY offset DESC LIMIT ?)",
                (event.topic, event.key, at, tail, NEWEST_EVENTS),
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
            some, ended = json.dumps(offsets[start : start + NEWEST_EVENTS]), False
            after = 0
            while not ended:
                events, ended = self._page(connection, _AT_OFFSETS, (some, after), NEWEST_EVENTS + 1)
                yield from events
                after = events[-1].position.offset if events else 0

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────

    def _events(
        self, row: Sequence[str | bytes | None], place: tuple[str, str | None] | None
    ) -> Sequence[Event]:
        bodies, numbers, timestamps, noted, *places = row
        if bodies is None:
            return []
        assert isinstance(bodies, bytes)
        topics, keys = map(repeat, place) if place is not None else map(_listed, places)
        offsets = _listed(numbers)
        positions = [_position((self._database.epoch, offset)) for offset in offsets]
        notes = repeat(b"") if noted == "{}" else _notes(noted, offsets)
        columns = zip(positions, topics, keys, bodies.split(b"\n"), _listed(timestamps), notes, strict=False)
        return list(map(_event, columns))

    def _borrowed(self) -> sqlite3.Connection:
        """A connection of the caller's own, who puts it back unless it has failed."""
        return self._idle.pop() if self._idle else self._database.connect_for_reading()

    def _at(self, offset: int) -> Position:
        return _position((self._database.epoch, offset))


def _beyond(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`, in order of code points; None if there is none."""
    kept = prefix.rstrip(chr(sys.maxunicode))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def _notes(column: str | bytes | None, offsets: Sequence[int]) -> list[bytes]:
    """Those of the events at `offsets`, of which `column` tells only what there is."""
    notes = json.loads(column or "{}")
    return [notes.get(str(offset), "").encode() for offset in offsets]


def _listed(column: str | bytes | None) -> list[Any]:
    return json.loads(column or "[]")  # type: ignore[no-any-return]
