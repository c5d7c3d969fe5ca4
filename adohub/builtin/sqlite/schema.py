"""What the database holds, and how an older one becomes a newer one.

A row of `events` after the tail is history. One at or before the tail is there because it is the newest of
its (topic, key), and goes when a newer one comes. `gone_at` is set on the newest of an ended key: from that
moment it is not among the newest any more. `notes` is NULL where the payload's JSON says everything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from adohub import StorageError

APPLICATION_ID = 0x61646F68
"""`adoh`: says in the file's header whose it is (https://sqlite.org/fileformat2.html#application_id)."""

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE hub (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE events (
        offset INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        key TEXT,
        timestamp TEXT NOT NULL,
        arrived_at REAL NOT NULL,
        gone_at REAL,
        body BLOB NOT NULL
    );
    CREATE INDEX events_by_key ON events (topic, key);
    CREATE INDEX events_by_end ON events (gone_at) WHERE gone_at IS NOT NULL;
    CREATE TABLE repeats (
        author TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        offset INTEGER NOT NULL,
        timestamp TEXT NOT NULL,
        seen_at REAL NOT NULL,
        PRIMARY KEY (author, idempotency_key)
    ) WITHOUT ROWID;
    CREATE INDEX repeats_by_age ON repeats (seen_at);
    """,
    """
    ALTER TABLE events ADD COLUMN notes TEXT;
    """,
)
"""The n-th statement list makes schema version n (`PRAGMA user_version`) out of the one before."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database at `path` to the newest schema, in one transaction.

    Raises StorageError: it is somebody else's, or of a newer version.
    """
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [owner] = connection.execute("PRAGMA application_id").fetchone()
    [tables] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (tables or version):
        raise StorageError(f"{path} is another program's database; set another storage.sqlite.path")
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{path} is of schema version {version}, and this adohub knows {len(MIGRATIONS)}; use a newer one"
        )
    if version < len(MIGRATIONS):
        statements = "".join(MIGRATIONS[version:])
        stamps = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)};"
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {statements} {stamps} COMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
