"""The SQLite engine's file: who may read it, what is refused and left alone, and what is not written to."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve

from adohub import Draft, Selection, Storage, StorageError, StorageSettings
from adohub.builtin.sqlite import database, reader, schema
from adohub.builtin.sqlite.storage import open_sqlite

NOON = "2026-01-02T12:00:00.000Z"
EVERYTHING = Selection(["**"])


@pytest.fixture
def settings(tmp_path: Path) -> StorageSettings:
    table = {"path": str(tmp_path / "deep" / "hub.db"), "synchronous": "full"}
    return StorageSettings(max_events=1000, max_age_s=3600, idempotency_window_s=60, ended_s=60, table=table)


@pytest.fixture
def file(settings: StorageSettings) -> Path:
    return Path(settings.table["path"])


@asynccontextmanager
async def opened(settings: StorageSettings) -> AsyncIterator[Storage]:
    with trio.fail_after(20):
        async with open_sqlite(settings) as storage:
            yield storage


async def append(storage: Storage, *keys: str | None) -> None:
    await storage.append([Draft("t", key, b"{}", NOON) for key in keys])


async def keys_in(storage: Storage) -> list[str | None]:
    return [event.key for event in (await storage.read(EVERYTHING, storage.tail(), 100)).events]


async def test_its_folder_is_made_and_it_is_for_its_user_alone(settings: StorageSettings, file: Path) -> None:
    async with opened(settings) as storage:
        await append(storage, "k")
        files = [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", ".lock"))]
        assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600] * 4


async def test_another_programs_database_is_refused_and_left_as_it_was(
    settings: StorageSettings, file: Path
) -> None:
    before = make_database_of_others(file)
    with pytest.raises(StorageError, match="is another program's database"):
        async with opened(settings):
            pass
    assert await trio.Path(file).read_bytes() == before


def make_database_of_others(file: Path) -> bytes:
    file.parent.mkdir()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    return file.read_bytes()


async def test_an_older_schema_is_brought_up_to_date_or_left_as_it_was(
    settings: StorageSettings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings) as storage:
        await append(storage, "a")
        epoch = storage.head().epoch
    step = "ALTER TABLE events ADD COLUMN colour TEXT;"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, f"{step} SELECT no_such_function();"])
        with pytest.raises(StorageError):
            async with opened(settings):
                pass
    assert "colour" not in columns(file)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, step])
        async with opened(settings) as storage:
            assert (await keys_in(storage), storage.head().epoch) == (["a"], epoch)
        assert "colour" in columns(file)
    with pytest.raises(
        StorageError, match=r"is of schema version 2, and this adohub knows 1; use a newer one"
    ):
        async with opened(settings):
            pass


def columns(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    try:
        return {str(name) for _, name, *_ in connection.execute("PRAGMA table_info(events)")}
    finally:
        connection.close()


async def test_a_power_cut_begins_a_new_epoch_if_it_may_have_cost_events(
    settings: StorageSettings, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    epochs = []
    for synchronous in ("full", "normal"):
        table = {"path": str(file.with_name(synchronous)), "synchronous": synchronous}
        for boot in ("one", "one", "two"):
            (tmp_path / "boot").write_text(boot)
            monkeypatch.setattr(database, "_BOOT_ID", tmp_path / "boot")
            async with opened(evolve(settings, table=table)) as storage:
                epochs.append(storage.head().epoch)
                noted = read_opened(Path(table["path"]))
            write_opened(Path(table["path"]), noted)  # as if it had not been closed
    assert len({*epochs[:3]}) == 1
    assert epochs[3] == epochs[4] != epochs[5]


def read_opened(file: Path) -> str:
    connection = sqlite3.connect(file)
    try:
        return str(connection.execute("SELECT value FROM hub WHERE name = 'opened'").fetchone()[0])
    finally:
        connection.close()


def write_opened(file: Path, opened: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE hub SET value = ? WHERE name = 'opened'", (opened,))
    connection.close()


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_was_moved_away_is_not_written_to(
    settings: StorageSettings, file: Path, replaced: bool
) -> None:
    async with opened(settings) as storage:
        await append(storage, "before")
        away = await trio.Path(file).rename(file.with_name("away"))
        if replaced:
            await trio.Path(file).touch()
        with pytest.raises(StorageError, match="has been moved away; put it back, or restart adohub"):
            await append(storage, "meanwhile")
        await away.rename(file)
        await append(storage, "after")
        assert await keys_in(storage) == ["before", "after"]


async def test_publishing_fails_while_another_holds_the_file_and_works_afterwards(
    settings: StorageSettings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    async with opened(settings) as storage:
        await append(storage, "before")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(StorageError, match="is locked by another process"):
                await append(storage, "meanwhile")
        other.execute("COMMIT")
        other.close()
        await append(storage, "after")
        assert await keys_in(storage) == ["before", "after"]


async def test_the_newest_are_found_after_a_page_was_cut(
    settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one connection may hold is bounded while it reads a page, and only then."""
    monkeypatch.setattr(reader, "PAGE_BYTES", 2000)
    async with opened(settings) as storage:
        await append(storage, *(f"key {number}" for number in range(900)))
        page = await storage.read(EVERYTHING, storage.tail(), 900)
        assert 0 < len(page.events) < 900
        newest = await storage.latest(EVERYTHING)
        assert len(newest.events) == 900
