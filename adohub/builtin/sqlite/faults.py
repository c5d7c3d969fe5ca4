"""What goes wrong with a database file, in words for an operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adohub import StorageError

_PRIMARY = 0xFF
"""The bits of SQLite's extended result codes that are the primary code (https://sqlite.org/rescode.html)."""

_WORDS = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another process",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a backup, or move it away to begin anew",
    sqlite3.SQLITE_NOTADB: "is no database; move it away, or set another storage.sqlite.path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; look at its permissions and those of its folder",
    sqlite3.SQLITE_PERM: "cannot be opened; look at its permissions and those of its folder",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_NOMEM: "cannot be used: there is no memory left",
}


def storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    """What `error` means for the file at `path`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    words = _WORDS.get(code & _PRIMARY)
    return StorageError(f"{path} {words}" if words else f"{path} cannot be used: {error}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever SQLite or the file system says of `path` is raised as StorageError."""
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(path, error) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be used: {error.strerror or error}") from error
