"""What sqlite lets go of: in small steps, beside appends, and never what may not be lost."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from adohub import Storage
from adohub.builtin.sqlite import database as databases
from adohub.builtin.sqlite import storage as sqlite_storage
from adohub.builtin.sqlite import writer
from adohub.testing.storage import words
from adohub.testing.storage.words import EVERYTHING, draft, drafts, read_all, until
from tests.builtin.sqlite_files import Clock, locked, opened, rows

DEADLINE_S = 60.0


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an engine that tidies when it is told to."""
    monkeypatch.setattr(sqlite_storage, "TIDY_S", float("inf"))
    return tmp_path / "events.db"


async def newest(storage: Storage) -> list[int]:
    return [event.position.offset for event in (await storage.latest(EVERYTHING)).events]


async def test_what_is_too_much_goes_in_small_steps_and_is_never_seen_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STEP_EVENTS", 300)
    with trio.fail_after(DEADLINE_S):
        async with opened(path, words.settings(max_events=5)) as storage:
            await storage.append(drafts("t/m", *["t/k"] * 2000))
            left = [len(rows(path))]
            while await storage._tidy_step():
                left.append(len(rows(path)))
                found = await read_all(storage, EVERYTHING)
                assert [event.position.offset for event in found] == list(range(1997, 2002))
            steps = [before - after for before, after in pairwise(left)]
        assert steps == [299, *[300] * 5]
        assert rows(path) == [1, *range(1997, 2002)]


async def test_appends_tidy_up_as_much_as_they_bring(path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with opened(path, words.settings(max_events=5)) as storage:
            for _ in range(30):
                await storage.append(drafts(*["t/k"] * 300))
    assert rows(path) == list(range(8696, 9001))


async def test_appends_go_on_beside_the_tidying(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_storage, "TIDY_S", 0.0005)
    monkeypatch.setattr(writer, "STEP_EVENTS", 16)
    given: list[int] = []

    async def append(storage: Storage) -> None:
        for _ in range(50):
            receipts = await storage.append(drafts(*["t/k"] * 7))
            given.extend(receipt.position.offset for receipt in receipts)

    with trio.fail_after(DEADLINE_S):
        async with opened(path, words.settings(max_events=10)) as storage:
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(append, storage)
            assert sorted(given) == list(range(1, 50 * 5 * 7 + 1))
            await until(lambda: rows(path) == sorted(given)[-10:])
            assert [event.position.offset for event in await read_all(storage, EVERYTHING)] == rows(path)


async def test_a_file_that_cannot_be_written_is_tidied_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "BUSY_S", 0.001)
    monkeypatch.setattr(sqlite_storage, "TIDY_S", 0.001)
    failures = 0
    tidy = writer.Writer.tidy

    def counted(self: writer.Writer, bounds: writer.Bounds) -> bool:
        nonlocal failures
        failures += 1
        more = tidy(self, bounds)
        failures -= 1
        return more

    monkeypatch.setattr(writer.Writer, "tidy", counted)
    with trio.fail_after(DEADLINE_S):
        async with opened(path, words.settings(max_events=3)) as storage:
            with locked(path):
                await until(lambda: failures >= 3)
            await storage.append(drafts(*["t/k"] * 50))
            await until(lambda: rows(path) == [48, 49, 50])


async def test_of_keys_beyond_history_as_many_are_kept_as_history_may_have(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live state is never too much; state that has ended counts like all others, and the oldest go first."""
    monkeypatch.setattr(writer, "STEP_EVENTS", 4)
    clock = Clock()
    settings = words.settings(max_events=10, ended_s=60)
    with trio.fail_after(DEADLINE_S):
        async with opened(path, settings, clock) as storage:
            await storage.append([draft("state", str(number)) for number in range(20)])  # 1 to 20
            await storage.append([draft("t", str(number)) for number in range(20)])  # 21 to 40
            await storage.append([draft("state", str(number), ends=["state"]) for number in range(5)])
            await storage.append(drafts(*["u"] * 10))  # 46 to 55 are history
            assert await newest(storage) == [*range(6, 46), 55]
            while await storage._tidy_step():
                pass
            assert await newest(storage) == [*range(6, 21), *range(36, 46), 55]
            assert rows(path) == [*range(6, 21), *range(36, 56)]
            clock.moment += 61
            while await storage._tidy_step():
                pass
            assert await newest(storage) == [*range(6, 21), *range(36, 41), 55]
            assert rows(path) == [*range(6, 21), *range(36, 41), *range(46, 56)]


async def test_idempotency_keys_go_after_their_window(path: Path) -> None:
    clock = Clock()
    with trio.fail_after(DEADLINE_S):
        async with opened(path, words.settings(idempotency_window_s=60), clock) as storage:
            await storage.append([draft("t", again="early")])
            clock.moment += 40
            await storage.append([draft("t", again="late")])
            clock.moment += 40
            await storage._tidy_step()
        async with opened(path, words.settings(idempotency_window_s=3600), clock) as storage:
            receipts = await storage.append([draft("t", again="early"), draft("t", again="late")])
    assert Counter(receipt.repeated for receipt in receipts) == {False: 1, True: 1}
    assert receipts[1].repeated
