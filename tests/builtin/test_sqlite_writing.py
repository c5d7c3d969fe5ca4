"""Appends that fail, or are said to have failed, that nobody waits for, and that go on while it is tidied."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from adohub import Receipt, StorageError
from adohub.builtin.sqlite import database as databases
from adohub.builtin.sqlite.storage import SqliteStorage
from adohub.testing.storage import words
from adohub.testing.storage.words import EVERYTHING, draft, drafts, read_all, until
from tests.builtin.sqlite_files import locked, opened

DEADLINE_S = 60.0

SOON_S = 0.02
"""How long these hubs wait for another program, where that is to fail."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@asynccontextmanager
async def followed(storage: SqliteStorage) -> AsyncIterator[list[int]]:
    """The offsets that somebody who follows from the head on has been given; in the end, those of all."""
    seen: list[int] = []
    start = storage.head()

    async def follow() -> None:
        async for batch in storage.follow(start):
            seen.extend(event.position.offset for event in batch)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        yield seen
        await until(lambda: max(seen, default=start.offset) >= storage.head().offset)
        nursery.cancel_scope.cancel()


def offsets(receipts: Sequence[Receipt]) -> list[int]:
    return [receipt.position.offset for receipt in receipts]


async def kept(storage: SqliteStorage) -> list[int]:
    return [event.position.offset for event in await read_all(storage, EVERYTHING)]


# ── failing ──────────────────────────────────────────────────────────────────────────────────────────


async def test_what_another_program_keeps_from_being_written_is_refused_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "BUSY_S", SOON_S)
    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage, followed(storage) as seen:
            await storage.append(drafts("t", "t"))
            with locked(path):
                for attempt in (storage.append(drafts("t", "t", "t")), storage.check()):
                    with pytest.raises(StorageError, match=r"events\.db is locked by another process$"):
                        await attempt
                assert await kept(storage) == [1, 2]
            await storage.check()
            assert offsets(await storage.append(drafts("t"))) == [3]
        assert seen == [1, 2, 3]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pages of 4 KiB the disk has for the file; whoever connects is told the last."""
    pages = [1_000_000]
    connect = databases._connect

    def connect_to_small_disk(path: Path, *settings: str) -> sqlite3.Connection:
        return connect(path, *settings, f"PRAGMA max_page_count = {pages[-1]}")

    monkeypatch.setattr(databases, "_connect", connect_to_small_disk)
    return pages


async def test_what_the_disk_has_no_room_for_is_refused_whole_and_changes_nothing(
    path: Path, pages: list[int]
) -> None:
    pages.append(20)
    with trio.fail_after(DEADLINE_S):
        async with opened(path, words.settings(state_keys=1)) as storage, followed(storage) as seen:
            batch = [
                draft("state", "k", again="once", if_revision=0, text="x" * 1000),
                *(draft("t", text="x" * 50_000) for _ in range(3)),
            ]
            await storage.append(drafts("t"))
            for _ in range(2):
                with pytest.raises(StorageError, match=r"events\.db cannot grow: the disk is full$"):
                    await storage.append(batch)
            assert offsets(await storage.append(drafts("t"))) == [2], "a smaller one has room"
            pages.append(1000)
            with pytest.raises(StorageError):
                await storage.append(batch)  # of a connection that does not know
            receipts = await storage.append(batch)
            assert offsets(receipts) == [3, 4, 5, 6]
            assert not any(receipt.repeated or receipt.rejected for receipt in receipts)
        assert seen == [1, 2, 3, 4, 5, 6]


async def test_those_whose_appends_are_one_transaction_are_all_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "BUSY_S", SOON_S)
    told: list[str] = []

    async def append(storage: SqliteStorage) -> None:
        with pytest.raises(StorageError) as caught:
            await storage.append(drafts("t"))
        told.append(str(caught.value))

    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage:
            with locked(path):
                async with trio.open_nursery() as nursery:
                    for _ in range(5):
                        nursery.start_soon(append, storage)
            assert told == [f"{path} is locked by another process"] * 5
            assert offsets(await storage.append(drafts("t"))) == [1]


# ── said to have failed ──────────────────────────────────────────────────────────────────────────────


class Lying(sqlite3.Connection):
    """A connection that says of a commit that it has failed when it has not, as a disk may."""

    lies = False

    def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        cursor = super().execute(statement, values)
        if statement == "COMMIT" and Lying.lies:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


@asynccontextmanager
async def lied_to(path: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStorage]:
    """The storage in the file at `path`, which has been told that 2, 3 and 4 were not kept, and they are."""
    patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Lying))
    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage:
            await storage.append(drafts("t"))
            patch.setattr(Lying, "lies", True)
            with pytest.raises(StorageError):
                await storage.append([draft("u", again="once"), *drafts("u", "u")])
            patch.setattr(Lying, "lies", False)
            assert storage.head().offset == 1
            assert await kept(storage) == [1]
            yield storage


async def test_what_is_on_the_disk_after_all_is_given_before_what_is_appended_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lied_to(path, monkeypatch) as storage:
        async with followed(storage) as seen:
            assert offsets(await storage.append(drafts("t", "t"))) == [5, 6]
            assert offsets(await storage.append(drafts("t"))) == [7]
        assert seen == [2, 3, 4, 5, 6, 7]
        assert await kept(storage) == [1, 2, 3, 4, 5, 6, 7]


async def test_who_tries_it_again_is_given_the_receipt_of_the_first_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lied_to(path, monkeypatch) as storage, followed(storage) as seen:
        [receipt] = await storage.append([draft("u", again="once")])
        assert (receipt.position.offset, receipt.repeated) == (2, True)
        assert storage.head().offset == 4
    assert seen == [2, 3, 4]


async def test_it_comes_to_light_though_nobody_appends_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for the newest is told of it at once, and waits until it has been given."""
    async with lied_to(path, monkeypatch) as storage, followed(storage) as seen:
        assert (await storage.latest(EVERYTHING)).position.offset == 4
        await storage.check()
        assert storage.head().offset == 4
    assert seen == [2, 3, 4]


# ── nobody waits ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_being_written_when_its_appender_gives_up_is_there_before_the_next(path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with opened(path) as storage, followed(storage) as seen:
            with locked(path):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(storage.append, drafts("t", "t"))
                    await until(lambda: storage._writing.borrowed_tokens == 1)
                    nursery.start_soon(storage.append, drafts("u", "u"))
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
            assert offsets(await storage.append(drafts("v"))) == [5]
            events = await read_all(storage, EVERYTHING)
            assert [event.topic for event in events] == ["t", "t", "u", "u", "v"]
        assert seen == [1, 2, 3, 4, 5]


async def test_closing_waits_for_what_is_being_written(path: Path) -> None:
    closing = trio.Event()

    async def keep_locked(task_status: trio.TaskStatus[None]) -> None:
        with locked(path):
            task_status.started()
            await closing.wait()
            await trio.testing.wait_all_tasks_blocked()

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as others:
            async with opened(path) as storage:
                await others.start(keep_locked)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(storage.append, drafts("t"))
                    await until(lambda: storage._writing.borrowed_tokens == 1)
                    nursery.cancel_scope.cancel()
                closing.set()
        async with opened(path) as storage:
            assert await kept(storage) == [1]


async def test_what_was_acknowledged_before_closing_is_there_and_all_else_is_whole(path: Path) -> None:
    acknowledged: set[int] = set()

    def has_grown(to: int) -> bool:
        return len(acknowledged) >= to

    async def append_on_and_on(storage: SqliteStorage) -> None:
        while True:
            acknowledged.update(offsets(await storage.append(drafts("t", "t", "t"))))

    with trio.fail_after(DEADLINE_S):
        for _ in range(5):
            async with opened(path, words.settings(max_events=1_000_000)) as storage:
                enough = partial(has_grown, len(acknowledged) + 200)
                async with trio.open_nursery() as nursery:
                    for _ in range(10):
                        nursery.start_soon(append_on_and_on, storage)
                    await until(enough)
                    nursery.cancel_scope.cancel()
        async with opened(path, words.settings(max_events=1_000_000)) as storage:
            found = await kept(storage)
    assert found == list(range(1, len(found) + 1))
    assert acknowledged <= set(found)
    assert len(found) % 3 == 0
