"""A database that cannot be used keeps the hub from starting: status 1, and one line that says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.faults import heeding_modes
from tests.cli.processes import PROGRAM, running, serving, sqlite_at


def scribble(database: Path) -> None:
    database.write_text("dear diary, " * 1000)


def make_foreign(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE diary (entry TEXT)")


def make_newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA application_id = 0x61646F68")
        connection.execute("PRAGMA user_version = 99")


def make_read_only(database: Path) -> None:
    database.touch(0o400)


def make_a_folder(database: Path) -> None:
    database.mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (scribble, "is no database; move it away, or set another storage.sqlite.path"),
        (make_foreign, "is another program's database; set another storage.sqlite.path"),
        (make_newer, "is of schema version 99, and this adohub knows 2; use a newer one"),
        (make_read_only, "cannot be used: Permission denied"),
        (make_a_folder, "cannot be used: Is a directory"),
    ],
)
async def test_what_cannot_be_used_is_told_plainly(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    database = tmp_path / "hub.db"
    spoil(database)
    assert await complaint(tmp_path, database, heeding_modes()) == f"adohub: {database} {words}\n"


async def test_one_hub_at_a_time(tmp_path: Path) -> None:
    database = tmp_path / "hub.db"
    async with serving(tmp_path, sqlite_at(database)):
        words = await complaint(tmp_path, database, PROGRAM)
        assert words == f"adohub: {database} is in use by another adohub\n"


async def complaint(folder: Path, database: Path, program: tuple[str, ...]) -> str:
    """The last words of a hub that does not start."""
    config = folder / "second.toml"
    config.write_text(sqlite_at(database))
    arguments = ("serve", "--config", str(config), "--port", "0")
    async with running(*arguments, cwd=folder, program=program) as hub:
        ended = await hub.ended()
    assert (ended.status, ended.out) == (1, "")
    return ended.err
