"""The file: made, locked, checked and connected to, and what epoch it is of.

One hub at a time: it holds a lock beside the file as long as it lives. The epoch is the file's own, and a new
one begins whenever events may have been lost that a client has seen:

- the file is another one than last time, or has not come as far: a backup that was restored, a copy;
- it was not closed, the machine has been started since, and `synchronous = "normal"` may lose the last events
  with the power.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from attrs import define, frozen

from adohub import Position, StorageError
from adohub.builtin.sqlite.faults import translated
from adohub.builtin.sqlite.lock import Lock
from adohub.builtin.sqlite.schema import migrate

Synchronous = Literal["full", "normal"]

BUSY_S = 2.0
"""How long another process may hold the file before that is an error, in seconds."""

STATEMENTS = 256
"""How many prepared statements a connection keeps."""

WAL_BYTES = 64 * 1024 * 1024
"""What is left of the write-ahead log once it has been worked through, at most."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@frozen
class Database:
    """The database at `path`, opened for this process alone by `open_database`.

    One connection, the keeper, stays open throughout though hardly anything is asked of it. When a process
    closes its last one, SQLite does away with the log and the memory that connections share. The next one
    would make them anew, and what is made while the file is read-only stays so for all who come after.
    """

    path: Path
    synchronous: Synchronous
    epoch: str
    lock: Lock
    keeper: sqlite3.Connection
    inode: int

    def connect(self) -> sqlite3.Connection:
        """A connection that writes. Raises StorageError."""
        self.check_place()
        return _connect(self.path, f"PRAGMA synchronous = {self.synchronous}")

    def connect_for_reading(self) -> sqlite3.Connection:
        """A connection that only reads. Raises StorageError."""
        self.check_place()
        return _connect(self.path, "PRAGMA query_only = 1")

    def check_place(self) -> None:
        """Raises StorageError if the file that was opened is not the one at `path` any more.

        What is written then goes where nobody will look for it, and SQLite makes an empty file to read from.
        """
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = None
        if inode != self.inode:
            raise StorageError(f"{self.path} has been moved away; put it back, or restart adohub")

    def close(self) -> None:
        """Close what others have left, and release the lock.

        A file that cannot be noted to have been closed counts as one that was not.
        """
        with suppress(sqlite3.Error):
            self.keeper.execute("UPDATE hub SET value = '' WHERE name = 'opened'")
        self.keeper.close()
        self.lock.release()


def open_database(path: Path, synchronous: Synchronous) -> Database:
    """Make the database at `path` if need be, and see that it is whole, ours and of the newest schema.

    Raises StorageError with the reason.
    """
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock.take(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            keeper = _connect(path, f"PRAGMA synchronous = {synchronous}")
            try:
                _check(keeper, path)
                migrate(keeper, path)
                keeper.execute("PRAGMA journal_mode = WAL")
                epoch = _epoch(keeper, path, synchronous, lock.noted())
                return Database(path, synchronous, epoch, lock, keeper, path.stat().st_ino)
            except BaseException:
                keeper.close()
                raise
        except BaseException:
            lock.release()
            raise


def _check(connection: sqlite3.Connection, path: Path) -> None:
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StorageError(f"{path} is damaged; restore a backup, or move it away to begin anew")


def _connect(path: Path, *settings: str) -> sqlite3.Connection:
    with translated(path):
        connection = sqlite3.connect(
            path,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS,
        )
        for setting in (*settings, f"PRAGMA journal_size_limit = {WAL_BYTES}", "PRAGMA temp_store = MEMORY"):
            connection.execute(setting)
        return connection


@define
class _Identity:
    """What tells whether the file is still the one that clients have ids of."""

    epoch: str | None
    inode: int | None
    opened: str
    """How it was opened and since which start of the machine, if it has not been closed since."""


def _epoch(
    connection: sqlite3.Connection, path: Path, synchronous: Synchronous, came_to: Position | None
) -> str:
    """The epoch that holds from now on, which is noted in the file. `came_to`: its head when last used."""
    noted = dict(connection.execute("SELECT name, value FROM hub").fetchall())
    was = _Identity(noted.get("epoch"), noted.get("inode"), noted.get("opened", ""))
    inode, boot = path.stat().st_ino, _boot_id()
    lost_power = was.opened.startswith("normal ") and (not boot or was.opened != f"normal {boot}")
    epoch = was.epoch
    is_older = came_to is not None and (came_to.epoch != epoch or came_to.offset > read_head(connection))
    if epoch is None or was.inode != inode or lost_power or is_older:
        epoch = f"{int(time.time()):08x}{secrets.token_hex(2)}"
    now = {"epoch": epoch, "inode": inode, "opened": f"{synchronous} {boot}"}
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR REPLACE INTO hub VALUES (?, ?)", now.items())
    connection.execute("COMMIT")
    return epoch


def read_head(connection: sqlite3.Connection) -> int:
    """The offset of the newest event that there has been, 0 if there was none."""
    [head] = connection.execute(
        "SELECT max(coalesce((SELECT max(offset) FROM events), 0),"
        " coalesce((SELECT value FROM hub WHERE name = 'tail'), 0))"
    ).fetchone()
    return int(head)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
