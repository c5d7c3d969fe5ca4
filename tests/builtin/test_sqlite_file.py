"""The file: whose it is, what becomes of an older one, and when it is not the one clients have ids of."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio

from adohub import Position, StorageError
from adohub.builtin.sqlite import database as databases
from adohub.builtin.sqlite import schema
from adohub.builtin.sqlite import storage as sqlite_storage
from adohub.builtin.sqlite.database import Synchronous, open_database
from adohub.builtin.sqlite.storage import steady_clock
from adohub.builtin.sqlite.writer import Writer
from adohub.testing.storage import words
from adohub.testing.storage.words import EVERYTHING, draft, drafts, read_all
from tests.builtin.sqlite_files import Clock, opened

DEADLINE_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


async def append(path: Path, *topics_and_keys: str) -> str:
    """Append to the file at `path`, close it, and say what epoch it is of."""
    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage:
            await storage.append(drafts(*topics_and_keys))
            return storage.head().epoch


def epoch_of(path: Path, synchronous: Synchronous = "normal") -> str:
    """The epoch of the file at `path`, which is opened and closed for it."""
    database = open_database(path, synchronous)
    database.close()
    return database.epoch


def crashed(path: Path, synchronous: Synchronous) -> str:
    """The epoch of the file at `path`, which is opened and left as a process that is killed leaves it."""
    database = open_database(path, synchronous)
    database.keeper.close()
    database.lock.release()
    return database.epoch


@contextmanager
def plainly(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as any program has it, committed in the end."""
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_else_may_read_it_whatever_the_umask_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "events.db"
    before = os.umask(0)
    try:
        with trio.fail_after(DEADLINE_S):
            async with opened(path) as storage:
                await storage.append(drafts("t"))
                await storage.read(EVERYTHING, storage.tail(), 1)
                modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["events.db", "events.db-wal", "events.db-shm", "events.db.lock"], 0o600)


async def test_a_second_hub_is_refused_and_the_first_goes_on(path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage:
            for _ in range(2):
                with pytest.raises(StorageError, match=r"events\.db is in use by another adohub$"):
                    open_database(path, "normal")
            await storage.append(drafts("t"))
            epoch = storage.head().epoch
    assert epoch_of(path) == epoch


def another_programs(path: Path) -> None:
    with plainly(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def another_programs_without_tables(path: Path) -> None:
    with plainly(path) as connection:
        connection.execute("PRAGMA user_version = 3")


def of_a_newer_adohub(path: Path) -> None:
    epoch_of(path)
    with plainly(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")


def no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 500)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (another_programs, r"is another program's database; set another storage\.sqlite\.path$"),
        (another_programs_without_tables, "is another program's database"),
        (of_a_newer_adohub, r"is of schema version \d+, and this adohub knows \d+; use a newer one$"),
        (no_database, r"is no database; move it away, or set another storage\.sqlite\.path$"),
        (Path.mkdir, "cannot be used: Is a directory$"),
    ],
)
def test_what_is_not_ours_is_refused_and_left_as_it_is(path: Path, make: object, complaint: str) -> None:
    assert callable(make)
    make(path)
    before = None if path.is_dir() else path.read_bytes()
    for _ in range(2):  # the second time also says that the first one let go of the lock
        with pytest.raises(StorageError, match=complaint):
            open_database(path, "normal")
    assert path.is_dir() or path.read_bytes() == before


# ── schema ───────────────────────────────────────────────────────────────────────────────────────────


def version_and_columns(path: Path) -> tuple[int, set[str]]:
    with plainly(path) as connection:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        columns = connection.execute("SELECT name FROM pragma_table_info('events')").fetchall()
        return version, {name for (name,) in columns}


async def test_an_older_file_becomes_a_newer_one_with_all_that_is_in_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await append(path, "t.a/k", "t.b")
    version, columns = version_and_columns(path)
    later = ("ALTER TABLE events ADD COLUMN color TEXT;", "UPDATE events SET color = 'red';")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *later))
    assert await append(path, "t.a/m") == epoch
    assert version_and_columns(path) == (version + 2, columns | {"color"})
    with plainly(path) as connection:
        found = connection.execute("SELECT topic, key, color FROM events ORDER BY offset").fetchall()
    assert found == [("t.a", "k", "red"), ("t.b", None, "red"), ("t.a", "m", None)]


async def test_events_of_the_first_schema_have_no_notes_and_later_ones_may(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        epoch = epoch_of(path)
    with plainly(path) as connection:
        connection.execute(
            "INSERT INTO events (offset, topic, key, timestamp, arrived_at, body)"
            " VALUES (1, 't', 'k', '', unixepoch(), x'7b7d')"
        )
    noted = draft("t", "m", notes=((("at",), "Date"),))
    with trio.fail_after(DEADLINE_S):
        async with opened(path, clock=Clock()) as storage:
            assert storage.head() == Position(epoch, 1)
            await storage.append([noted])
            events = await read_all(storage, EVERYTHING)
    assert [(event.key, event.notes) for event in events] == [("k", b""), ("m", noted.notes)]


async def test_a_step_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await append(path, "t.a/k")
    before = version_and_columns(path)
    with monkeypatch.context() as patch:
        later = ("ALTER TABLE events ADD COLUMN color TEXT;", "UPDATE absent SET color = 'red';")
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *later))
        for _ in range(2):
            with pytest.raises(StorageError, match="no such table: absent"):
                open_database(path, "normal")
    assert version_and_columns(path) == before
    async with opened(path) as storage:
        assert storage.head() == Position(epoch, 1)


# ── epochs ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "is_closed", "boots", "goes_on"),
    [
        ("full", True, ("one", "two"), True),
        ("full", False, ("one", "one"), True),
        ("full", False, ("one", "two"), True),
        ("full", False, (None, None), True),
        ("normal", True, ("one", "two"), True),
        ("normal", True, (None, None), True),
        ("normal", False, ("one", "one"), True),
        ("normal", False, ("one", "two"), False),
        ("normal", False, ("one", None), False),
        ("normal", False, (None, None), False),
    ],
)
@pytest.mark.parametrize("then", ["full", "normal"])
def test_an_epoch_goes_on_unless_the_power_may_have_taken_what_was_seen(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: Synchronous,
    is_closed: bool,
    boots: Sequence[str | None],
    goes_on: bool,
    then: Synchronous,
) -> None:
    """`boots`: the starts of the machine as they are told when the file is opened first, and again."""
    boot_id = path.with_name("boot_id")
    monkeypatch.setattr(databases, "_BOOT_ID", boot_id)
    epochs: list[str] = []
    for boot, open_ in zip(boots, (epoch_of if is_closed else crashed, epoch_of), strict=True):
        boot_id.unlink(missing_ok=True)
        if boot is not None:
            boot_id.write_text(f"{boot}\n")
        epochs.append(open_(path, first if not epochs else then))
    assert (epochs[0] == epochs[1]) is goes_on


def test_what_the_power_may_have_taken_begins_one_epoch_and_not_one_each_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot_id = path.with_name("boot_id")
    monkeypatch.setattr(databases, "_BOOT_ID", boot_id)
    boot_id.write_text("one\n")
    crashed(path, "normal")
    boot_id.write_text("two\n")
    epoch = crashed(path, "normal")
    assert [crashed(path, "normal"), epoch_of(path), epoch_of(path)] == [epoch] * 3


async def test_a_file_that_has_not_come_as_far_as_before_is_of_a_new_epoch(path: Path) -> None:
    backup = path.with_name("backup.db")
    epoch = await append(path, "t", "t")
    shutil.copyfile(path, backup)
    shutil.copyfile(backup, path)
    assert await append(path, "t") == epoch, "it had come as far as the one in whose place it was"
    shutil.copyfile(backup, path)
    anew = await append(path)
    assert anew != epoch
    assert await append(path, "t") == anew


async def test_a_copy_is_of_a_new_epoch_wherever_it_is(path: Path) -> None:
    epoch = await append(path, "t")
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    assert await append(copy) != epoch
    shutil.copy(path, copy)
    shutil.move(copy, path)
    assert await append(path) != epoch


async def test_a_file_that_is_moved_keeps_its_epoch(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    epoch = await append(before / "events.db", "t")
    shutil.move(before, after)
    assert await append(after / "events.db") == epoch


@pytest.mark.parametrize("note", [None, b"", b"\xff\xfe\n", b"nonsense\n"])
async def test_a_note_that_says_nothing_takes_no_epoch_away(path: Path, note: bytes | None) -> None:
    epoch = await append(path, "t")
    lock = path.with_name("events.db.lock")
    lock.unlink()
    if note is not None:
        lock.write_bytes(note)
    assert epoch_of(path) == epoch


async def test_a_note_of_another_epoch_is_of_another_file(path: Path) -> None:
    epoch = await append(path, "t")
    path.with_name("events.db.lock").write_text(f"{Position('another', 1)}\n")
    assert epoch_of(path) != epoch


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_goes_on_whatever_the_systems_does(monkeypatch: pytest.MonkeyPatch) -> None:
    system = SimpleNamespace(time=lambda: 5000.0, monotonic=lambda: 7.0)
    monkeypatch.setattr(sqlite_storage, "time", system)
    late, early = steady_clock(6000.0), steady_clock(4000.0)
    system.time, system.monotonic = lambda: 10.0, lambda: 9.0
    assert (late(), early()) == (6002.0, 5002.0)


async def test_a_system_clock_that_was_put_back_ages_nothing_and_makes_nothing_younger(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SimpleNamespace(time=lambda: 9_000_000.0, monotonic=time.monotonic)
    monkeypatch.setattr(sqlite_storage, "time", system)
    settings = words.settings(max_age_s=1000)
    for moment in (9_000_000.0, 8_000_000.0, 8_500_000.0):
        system.time = lambda moment=moment: moment
        async with opened(path, settings) as storage:
            await storage.append(drafts("t"))
            assert storage.tail().offset == 0
    system.time = lambda: 9_005_000.0
    async with opened(path, settings) as storage:
        assert await read_all(storage, EVERYTHING) == []
        [receipt] = await storage.append(drafts("t"))
        assert receipt.position.offset == 4
    with plainly(path) as connection:
        arrived = [at for (at,) in connection.execute("SELECT arrived_at FROM events ORDER BY offset")]
    assert arrived == sorted(arrived)


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_was_moved_away_is_not_written_to(path: Path, replaced: bool) -> None:
    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage:
            await storage.append(drafts("t.a/before"))
            away = await trio.Path(path).rename(path.with_name("away"))
            if replaced:
                await trio.Path(path).touch()
            with pytest.raises(StorageError, match="has been moved away; put it back, or restart adohub"):
                await storage.append(drafts("t.a/meanwhile"))
            await away.rename(path)
            await storage.append(drafts("t.a/after"))
            assert [event.key for event in await read_all(storage, EVERYTHING)] == ["before", "after"]


async def test_a_file_that_could_not_be_read_at_the_start_can_be_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await append(path, "t.a/k")

    def fail(writer: Writer) -> None:
        raise StorageError("the disk reports an error")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "load", fail)
        with pytest.raises(StorageError, match="the disk reports an error"):
            await append(path, "t.a/k")
    assert await append(path, "t.a/k") == epoch
