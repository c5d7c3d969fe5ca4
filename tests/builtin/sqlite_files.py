"""Sqlite storage in a file of the test's own, with a clock that the test winds."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from attrs import define, evolve

from adohub import StorageSettings
from adohub.builtin.sqlite.database import Synchronous
from adohub.builtin.sqlite.storage import SqliteStorage, open_sqlite
from adohub.testing.storage import words


@define
class Clock:
    """Seconds, which pass when `moment` is set."""

    moment: float = 1_000_000.0

    def __call__(self) -> float:
        return self.moment


@asynccontextmanager
async def opened(
    path: Path,
    settings: StorageSettings | None = None,
    clock: Clock | None = None,
    *,
    synchronous: Synchronous = "normal",
) -> AsyncIterator[SqliteStorage]:
    """The storage in the file at `path`."""
    table = {"path": str(path), "synchronous": synchronous}
    async with open_sqlite(evolve(settings or words.settings(), table=table), clock) as storage:
        assert isinstance(storage, SqliteStorage)
        yield storage


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program is writing to the file at `path`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def rows(path: Path) -> list[int]:
    """The offsets of all events that the file at `path` holds, whether or not they are shown to anybody."""
    with closing(sqlite3.connect(path)) as connection:
        return [offset for (offset,) in connection.execute("SELECT offset FROM events ORDER BY offset")]
