"""How much one answer of sqlite holds, and what those who follow are given once memory has let go of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from adohub import Position, Selection
from adohub.builtin.sqlite import reader
from adohub.builtin.sqlite import storage as sqlite_storage
from adohub.builtin.sqlite.storage import SqliteStorage
from adohub.testing.storage import words
from adohub.testing.storage.words import EVERYTHING, draft, follow_until, read_all
from tests.builtin.sqlite_files import opened

PAGE_BYTES = 4000
LIMIT = 64

DEADLINE_S = 60.0


@pytest.fixture
async def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStorage]:
    monkeypatch.setattr(reader, "PAGE_BYTES", PAGE_BYTES)
    with trio.fail_after(DEADLINE_S):
        async with opened(tmp_path / "events.db", words.settings(max_events=100_000)) as storage:
            yield storage


async def append(storage: SqliteStorage, *sizes: int, topic: str = "t") -> None:
    """Events whose payloads have about so many bytes."""
    await storage.append([draft(topic, str(number), text="x" * size) for number, size in enumerate(sizes)])


async def page_sizes(storage: SqliteStorage) -> list[list[int]]:
    """The payloads of each page, in bytes."""
    sizes: list[list[int]] = []
    at, more = storage.tail(), True
    while more:
        page = await storage.read(EVERYTHING, at, LIMIT)
        sizes.append([len(event.body) for event in page.events])
        at, more = page.reached, page.more
    return sizes


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_holds_a_bounded_number_of_bytes_and_never_nothing(storage: SqliteStorage) -> None:
    await append(storage, *[500] * 100)
    pages = await page_sizes(storage)
    assert all(0 < sum(page) <= PAGE_BYTES for page in pages)
    assert sum(map(len, pages)) == 100


async def test_a_larger_event_is_a_page_by_itself(storage: SqliteStorage) -> None:
    await append(storage, 10, 3 * PAGE_BYTES, 10, 2 * PAGE_BYTES, 2 * PAGE_BYTES)
    pages = await page_sizes(storage)
    assert [page for page in pages if max(page) > PAGE_BYTES] == [
        [3 * PAGE_BYTES + 11],
        [2 * PAGE_BYTES + 11],
        [2 * PAGE_BYTES + 11],
    ]
    assert sum(map(len, pages)) == 5


async def test_after_large_events_pages_are_as_long_as_before(storage: SqliteStorage) -> None:
    await append(storage, *[3000] * 20, *[0] * 20 * LIMIT)
    pages = await page_sizes(storage)
    assert [len(page) for page in pages[:10]] == [1] * 10
    assert len(pages[-2]) == LIMIT


async def test_one_key_of_large_events_is_read_whole(storage: SqliteStorage) -> None:
    for topic in ("t", "u"):
        await append(storage, *[3000] * 5, topic=topic)
    both = Selection(["t", "u"], key="3")
    assert [event.topic for event in await read_all(storage, both, limit=LIMIT)] == ["t", "u"]


async def test_long_notes_are_read_whole(storage: SqliteStorage) -> None:
    notes = [((("x" * size,), "Date"),) for size in (10, 3 * PAGE_BYTES, 3000, 3000, 2 * PAGE_BYTES)]
    given = [draft("t", "k", notes=some) for some in notes]
    await storage.append(given)
    for selection in (EVERYTHING, Selection(["t"], key="k")):
        events = await read_all(storage, selection, limit=LIMIT)
        assert [event.notes for event in events] == [one.notes for one in given]


# ── the newest ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_newest_are_all_there_however_large_they_are(storage: SqliteStorage) -> None:
    await append(storage, *[3000] * 5, 3 * PAGE_BYTES, *[0] * 200, *[3000] * 5)
    events = await read_all(storage, EVERYTHING)
    assert list((await storage.latest(EVERYTHING)).events) == events


async def test_the_newest_may_be_more_than_a_page_could_name(storage: SqliteStorage) -> None:
    """A connection that has read a page is used for other questions, which have no such limit."""
    await storage.append([draft(f"t.{number}", str(number)) for number in range(1200)])
    events = await read_all(storage, EVERYTHING, limit=1000)
    for selection in (EVERYTHING, Selection(["t.*"])):
        assert list((await storage.latest(selection)).events) == events
        page = await storage.read(selection, storage.tail(), 10)
        assert page.events == events[: len(page.events)] != []


# ── following ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("bound", "value"), [("FRESH_EVENTS", 10), ("FRESH_BYTES", 500)])
async def test_who_follows_slowly_is_given_the_same_from_the_disk(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(sqlite_storage, bound, value)
    monkeypatch.setattr(sqlite_storage, "FOLLOWED_EVENTS", 4)
    await append(storage, *[50] * 3)
    seen: list[int] = []
    following = storage.follow(storage.tail())
    with trio.CancelScope() as enough:
        async for batch in following:
            seen += [event.position.offset for event in batch]
            if len(seen) == 3:
                for _ in range(20):
                    await append(storage, *[50] * 7)
                assert storage._fresh_after(3) is None
            if seen[-1] == 143:
                enough.cancel()
    assert seen == list(range(1, 144))


async def test_a_batch_beyond_all_limits_is_followed_from_anywhere_in_it(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_storage, "FRESH_EVENTS", 2)
    await append(storage, *[0] * 9)
    for offset in range(9):
        after = Position(storage.head().epoch, offset)
        followed = await follow_until(storage, after, storage.head)
        assert [event.position.offset for event in followed] == list(range(offset + 1, 10))
