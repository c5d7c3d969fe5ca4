"""What the one writing thread does: each append is one transaction, answered once it is on the disk.

Law: nothing in memory changes before the commit has succeeded. After a failure the connection is dropped, and
what the file says is read anew before anything else is written.

Measured reason for statements of many rows: this module's calls let go of the interpreter once for every row
that a statement returns or is run for, and while the hub is busy it takes up to milliseconds to get it back.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from attrs import define, field, frozen

from adohub import Draft, Event, Position, Receipt, Rejection, Repeats, StorageSettings, from_fields
from adohub.builtin.sqlite.database import BUSY_S, Database, read_head
from adohub.builtin.sqlite.faults import translated

ROWS = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""How many rows the prepared statements have."""

_COLUMNS = "offset, topic, key, timestamp, arrived_at, body"
_COLUMNS_WITH_NOTES = f"{_COLUMNS}, notes"

STEP_EVENTS = 1024
"""How many events are let go of in one transaction, so that no append waits long for it."""

_position, _event, _receipt = from_fields(Position), from_fields(Event), from_fields(Receipt)
_notes = attrgetter("notes")

Place = tuple[str, str | None]
_Revision = tuple[int, bool]
"""The offset of the newest event of a place, 0 if there is none, and whether it has ended."""


@frozen
class Bounds:
    """What the hub knows when it writes: the time, and the tail it would like to have (an offset)."""

    moment: float
    tail: int


@define
class Appended:
    """What one transaction has done: receipts by batch, and the new events."""

    receipts: list[Sequence[Receipt]] = field(factory=list)
    events: list[Event] = field(factory=list)


@define
class _Change:
    """What is about to be written, on top of what the file holds."""

    moment: float
    offset: int
    events: list[Event] = field(factory=list)
    revisions: dict[Place, _Revision] = field(factory=dict)
    live: Counter[str] = field(factory=Counter)
    repeats: dict[tuple[str, str], Receipt] = field(factory=dict)
    ends: list[tuple[str, str | None, int]] = field(factory=list)


class Writer:
    """The writing side of `database`. Its methods run in one thread at a time, and raise StorageError."""

    def __init__(self, database: Database, settings: StorageSettings) -> None:
        self._database = database
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        self._is_patient = True
        """Whether to wait for others who hold the file. After a failure those who wait here come first."""
        self.head = self.trimmed = 0
        """Offsets: of the newest event; up to which history has been let go of."""
        self._beyond = 0
        """How many events beyond history there are, each the newest of its key."""
        self._live: Counter[str] = Counter()
        self._repeats = Repeats(settings)

    # ── what the file says ───────────────────────────────────────────────────────────────────────────

    def load(self) -> Sequence[tuple[float, int]]:
        """Connect, and read what the file says; history as (arrived at, offset) of some of its events."""
        with translated(self._database.path):
            self._connection = self._database.connect()
            if not self._is_patient:
                self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                return self._load(self._connection)
            except BaseException:
                self._drop()
                raise

    def _load(self, connection: sqlite3.Connection) -> Sequence[tuple[float, int]]:
        [tail] = connection.execute(
            "SELECT coalesce((SELECT value FROM hub WHERE name = 'tail'), 0)"
        ).fetchone()
        self.trimmed, self.head = tail, read_head(connection)
        self._database.lock.note(self._at(self.head))
        [self._beyond] = connection.execute(
            "SELECT count(*) FROM events WHERE offset <= ?", (tail,)
        ).fetchone()
        self._live = Counter({topic: self._count_live(topic) for topic in self._settings.state_keys})
        kept = connection.execute(
            "SELECT author, idempotency_key, offset, timestamp, seen_at FROM repeats"
            " ORDER BY seen_at DESC LIMIT ?",
            (self._settings.max_events,),
        ).fetchall()
        self._repeats = Repeats(self._settings)
        for author, key, offset, timestamp, seen_at in reversed(kept):
            self._repeats.note((author, key), seen_at, Receipt(self._at(offset), timestamp))
        every = max(1, (self.head - tail) // 1000)
        return connection.execute(
            "SELECT max(arrived_at), max(offset) FROM events WHERE offset > ? GROUP BY offset / ? ORDER BY 2",
            (tail, every),
        ).fetchall()

    def _count_live(self, topic: str) -> int:
        """How many keys of a state topic have not ended."""
        assert self._connection is not None
        [count] = self._connection.execute(
            "SELECT count(*) FROM (SELECT max(offset), gone_at FROM events WHERE topic = ? GROUP BY key"
            " HAVING gone_at IS NULL)",
            (topic,),
        ).fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        self._drop()
        self._database.close()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.load()
        assert self._connection is not None
        return self._connection

    def _at(self, offset: int) -> Position:
        return _position((self._database.epoch, offset))

    # ── append ───────────────────────────────────────────────────────────────────────────────────────

    def append(self, batches: Sequence[Sequence[Draft]], bounds: Bounds) -> Appended:
        """Keep `batches`, all or none. Returns once they are on the disk."""
        with self._transaction():
            change = _Change(bounds.moment, self.head)
            change.revisions = self._look_up_revisions(batches)
            receipts: list[Sequence[Receipt]] = [
                [self._judge(draft, change) for draft in batch] for batch in batches
            ]
            replaced = self._insert(change)
            trimmed, left = self._trim(bounds, 2 * len(change.events))
        self.head, self.trimmed = change.offset, trimmed
        self._beyond += left - replaced
        self._database.lock.note(self._at(self.head))
        self._live += change.live
        for author, receipt in change.repeats.items():
            self._repeats.note(author, change.moment, receipt)
        self._repeats.forget(change.moment)
        return Appended(receipts, change.events)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """What the block does, all or none of it, and on the disk. Raises StorageError.

        After a failure, a `BEGIN` that was refused included, the connection's state is not to be relied on
        any more: it may for one thing have been opened while the file was read-only.
        """
        with translated(self._database.path):
            self._database.check_place()
            connection = self._connected()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._drop()
                self._is_patient = False
                raise
            if not self._is_patient:
                self._is_patient = True
                connection.execute(f"PRAGMA busy_timeout = {int(1000 * BUSY_S)}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _judge(self, draft: Draft, change: _Change) -> Receipt:
        """What becomes of `draft`: it goes into `change`, unless it is a repetition or rejected."""
        topic, key, body, timestamp, name, idempotency_key, ends, if_revision, notes = draft
        author = (name, idempotency_key) if idempotency_key else None
        if author is not None:
            if author in change.repeats:
                return change.repeats[author]._replace(repeated=True)
            first = self._repeats.find(author, change.moment)
            if first is not None:
                return first
        place = (topic, key)
        if place in change.revisions:
            rejection = self._rejection(place, if_revision, change)
            if rejection:
                revision, has_ended = change.revisions[place]
                return Receipt(self._at(0 if has_ended else revision), "", rejected=rejection)
            self._note_revision(place, (change.offset + 1, False), change)
        for ended in ends:
            if (ended, key) in change.revisions:
                newest, _ = change.revisions[ended, key]
                self._note_revision((ended, key), (newest, True), change)
        change.offset += 1
        position = self._at(change.offset)
        change.events.append(_event((position, topic, key, body, timestamp, notes)))
        change.ends += [(ended, key, change.offset) for ended in ends]
        receipt = _receipt((position, timestamp, False, ""))
        if author is not None:
            change.repeats[author] = receipt
        return receipt

    def _rejection(self, place: Place, if_revision: int | None, change: _Change) -> Rejection:
        newest, has_ended = change.revisions[place]
        topic, _ = place
        live = self._live[topic] + change.live[topic]
        return self._settings.rejection(topic, if_revision, 0 if has_ended else newest, live)

    def _note_revision(self, place: Place, revision: _Revision, change: _Change) -> None:
        """It is `revision` from now on."""
        if place[0] in self._settings.state_keys:
            change.live[place[0]] += _is_live(revision) - _is_live(change.revisions[place])
        change.revisions[place] = revision

    def _look_up_revisions(self, batches: Iterable[Sequence[Draft]]) -> dict[Place, _Revision]:
        """The revision of each place that a draft is judged by, and of each state key that one ends."""
        state = self._settings.state_keys
        places: dict[Place, None] = {
            (topic, draft.key): None
            for batch in batches
            for draft in batch
            for topic in (draft.topic, *draft.ends)
            if topic in state or (topic == draft.topic and draft.if_revision is not None)
        }
        if not places:
            return {}
        assert self._connection is not None
        revisions: list[tuple[int, int]] = []
        for rows, values in _in_rows(list(places)):
            [found] = self._connection.execute(
                f"WITH place(topic, key) AS (VALUES {rows})"
                " SELECT json_group_array(json(coalesce((SELECT json_array(offset, gone_at IS NOT NULL)"
                " FROM events WHERE topic = place.topic AND key IS place.key ORDER BY offset DESC LIMIT 1),"
                " '[0,0]'))) FROM place",
                values,
            ).fetchone()
            revisions += json.loads(found)
        return {
            place: (offset, bool(ended)) for place, (offset, ended) in zip(places, revisions, strict=True)
        }

    def _insert(self, change: _Change) -> int:
        """Write `change`; how many events beyond history are not the newest of their key any more, and go."""
        replaced = 0
        columns, rows = _COLUMNS, _rows(change)
        if any(map(_notes, change.events)):
            columns = _COLUMNS_WITH_NOTES
            notes = [event.notes.decode() or None for event in change.events]
            rows = [(*row, some) for row, some in zip(rows, notes, strict=True)]
        repeats = [
            (*author, receipt.position.offset, receipt.timestamp, change.moment)
            for author, receipt in change.repeats.items()
        ]
        assert self._connection is not None
        for some, values in _in_rows(rows):
            self._connection.execute(f"INSERT INTO events ({columns}) VALUES {some}", values)
        for some, values in _in_rows(repeats):
            self._connection.execute(f"INSERT OR REPLACE INTO repeats VALUES {some}", values)
        if rows and self.trimmed:
            replaced = self._connection.execute(
                "DELETE FROM events WHERE offset IN (SELECT older.offset FROM events AS newer"
                " JOIN events AS older ON older.topic = newer.topic AND older.key IS newer.key"
                " AND older.offset <= ? WHERE newer.offset > ?)",
                (self.trimmed, self.head),
            ).rowcount
        for ended, values in _in_rows(change.ends):
            self._connection.execute(
                f"WITH ended(topic, key, offset) AS (VALUES {ended}) UPDATE events SET gone_at = ?"
                " WHERE gone_at IS NULL AND offset IN (SELECT (SELECT max(offset) FROM events"
                " WHERE topic = ended.topic AND key IS ended.key AND offset <= ended.offset) FROM ended)",
                (*values, change.moment + self._settings.ended_s),
            )
        return replaced

    # ── letting go ───────────────────────────────────────────────────────────────────────────────────

    def _trim(self, bounds: Bounds, most: int) -> tuple[int, int]:
        """Let go of at most about `most` events before the tail, in a transaction.

        Up to where that is done, and how many are left there since they are the newest of their keys.
        """
        tail = min(bounds.tail, self.trimmed + max(most, ROWS[0]))
        if tail <= self.trimmed:
            return self.trimmed, 0
        assert self._connection is not None
        gone = self._connection.execute(
            "DELETE FROM events WHERE offset > ? AND offset <= ? AND (gone_at <= ? OR EXISTS (SELECT 1"
            " FROM events AS newer WHERE newer.topic = events.topic AND newer.key IS events.key"
            " AND newer.offset > events.offset))",
            (self.trimmed, tail, bounds.moment),
        ).rowcount
        self._connection.execute("INSERT OR REPLACE INTO hub VALUES ('tail', ?)", (tail,))
        return tail, tail - self.trimmed - gone

    def tidy(self, bounds: Bounds) -> bool:
        """Let go of some of what is too old or too much; whether there may be more of it."""
        with self._transaction() as connection:
            trimmed, left = self._trim(bounds, STEP_EVENTS)
            gone = connection.execute(
                "DELETE FROM events WHERE offset IN (SELECT offset FROM events"
                " WHERE gone_at <= ? AND offset <= ? LIMIT ?)",
                (bounds.moment, trimmed, STEP_EVENTS),
            ).rowcount
            beyond = self._beyond + left - gone
            surplus = self._thin_out(connection, trimmed) if beyond > self._settings.max_events else 0
            forgotten = connection.execute(
                "DELETE FROM repeats WHERE (author, idempotency_key) IN (SELECT author, idempotency_key"
                " FROM repeats WHERE seen_at < ? LIMIT ?)",
                (bounds.moment - self._settings.idempotency_window_s, STEP_EVENTS),
            ).rowcount
        self.trimmed, self._beyond = trimmed, beyond - surplus
        return trimmed < bounds.tail or max(gone, surplus, forgotten) >= STEP_EVENTS

    def _thin_out(self, connection: sqlite3.Connection, trimmed: int) -> int:
        """Let go of the oldest newest events beyond history when there are more than history may have.

        Of state topics only ended keys count: no other may be lost. It walks over all that stays.
        """
        return connection.execute(
            "DELETE FROM events WHERE offset IN (SELECT offset FROM events WHERE offset <= ?"
            " AND (gone_at IS NOT NULL OR topic NOT IN (SELECT value FROM json_each(?)))"
            " ORDER BY offset DESC LIMIT ? OFFSET ?)",
            (trimmed, json.dumps(list(self._settings.state_keys)), STEP_EVENTS, self._settings.max_events),
        ).rowcount

    def check(self, moment: float) -> None:
        """Do what an append does, and undo it. Raises StorageError."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO events (offset, topic, key, timestamp, arrived_at, body)"
                " VALUES (?, 'hub.check', NULL, '', ?, x'7b7d')",
                (self.head + 1, moment),
            )
            connection.execute("DELETE FROM events WHERE offset = ?", (self.head + 1,))
            connection.execute("INSERT OR REPLACE INTO hub VALUES ('checked_at', ?)", (moment,))


def _rows(change: _Change) -> list[tuple[Any, ...]]:
    """What is to be inserted, but for the notes that few have."""
    return [
        (position.offset, topic, key, timestamp, change.moment, body)
        for position, topic, key, body, timestamp, _ in change.events
    ]


def _is_live(revision: _Revision) -> bool:
    newest, has_ended = revision
    return newest > 0 and not has_ended


def _in_rows(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    """`rows` as the text after VALUES of as few prepared statements as may be, and the values of each.

    Not as JSON, which would be one: SQLite ends a text that it takes out of JSON at its first NUL.
    """
    start = 0
    for count in ROWS:
        while len(rows) - start >= count:
            some = rows[start : start + count]
            one = f"({', '.join('?' * len(some[0]))})"
            yield ", ".join([one] * count), [value for row in some for value in row]
            start += count
