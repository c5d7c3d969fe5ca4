"""Whatever was appended, sqlite reads back what a look at every event finds, however its pages are cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub import Position, StorageSettings
from adohub.builtin.sqlite import reader
from adohub.builtin.sqlite import storage as sqlite_storage
from adohub.builtin.sqlite.storage import SqliteStorage
from adohub.testing.storage.words import read_all
from tests.builtin.naive import NaiveStorage
from tests.builtin.playing import ALWAYS, Question, Step, limits, questions, steps
from tests.builtin.sqlite_files import Clock, opened

# ── what may happen ──────────────────────────────────────────────────────────────────────────────────


@frozen
class Bounds:
    """How small everything is. Pages are not made smaller than the schema is, which is read as one, too."""

    scan_events: int
    page_bytes: int
    most_events: int
    newest_events: int

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(reader, "SCAN_EVENTS", self.scan_events)
        patch.setattr(reader, "PAGE_BYTES", self.page_bytes)
        patch.setattr(reader, "MOST_EVENTS", self.most_events)
        patch.setattr(reader, "NEWEST_EVENTS", self.newest_events)
        patch.setattr(sqlite_storage, "TIDY_S", float("inf"))


bounds = st.builds(Bounds, st.integers(1, 20), st.integers(1000, 3000), st.integers(1, 8), st.integers(1, 4))


# ── and what must come of it ─────────────────────────────────────────────────────────────────────────


async def take(step: Step, storage: SqliteStorage, model: NaiveStorage) -> None:
    """One step of both, of which both must say the same."""
    if step == "tidy":
        while await storage._tidy_step():
            pass
        model.tidy()
    elif not isinstance(step, float | str):
        drafts = [one.draft(model.revision) for one in step]
        receipts = await storage.append(drafts)
        judged = [(receipt.position.offset, receipt.rejected) for receipt in receipts]
        assert judged == model.append(drafts)
    assert (storage.head().offset, storage.tail().offset) == (model.head, model.tail)


async def check(question: Question, storage: SqliteStorage, model: NaiveStorage) -> None:
    selection, after = question.selection, Position(model.epoch, question.after)
    found = await read_all(storage, selection, after, limit=question.limit)
    assert found == model.read(selection, question.after)
    newest = await storage.latest(selection)
    assert newest.events == model.latest(selection)
    assert newest.position == storage.head()
    assert newest.ended & {event.position for event in newest.events} == model.ended(newest.events)


def check_count(path: Path, storage: SqliteStorage) -> None:
    """What is beyond history has been counted right: only too much of it is walked over."""
    with closing(sqlite3.connect(path)) as file:
        [[beyond]] = file.execute("SELECT count(*) FROM events WHERE offset <= ?", (storage._writer.trimmed,))
    assert storage._writer._beyond == beyond


async def play(
    path: Path, limits: StorageSettings, script: Sequence[Step], questions: Sequence[Question]
) -> None:
    """All steps of `script`, then all `questions`, to one engine that is closed and opened in between."""
    clock = Clock()
    async with opened(path, limits, clock) as storage:
        model = NaiveStorage(storage.head().epoch, limits, clock.moment)
    rest = list(script)
    while True:
        async with opened(path, limits, clock) as storage:
            while rest and (step := rest.pop(0)) != "reopen":
                if isinstance(step, float):
                    clock.moment = model.moment = clock.moment + step
                await take(step, storage, model)
            check_count(path, storage)
            if not rest:
                for question in (*ALWAYS, *questions):
                    await check(question, storage, model)
                return


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(limits, bounds, steps, questions)
def test_reading_finds_what_a_look_at_every_event_finds(
    limits: StorageSettings, bounds: Bounds, script: Sequence[Step], questions: Sequence[Question]
) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        bounds.patch(patch)
        trio.run(play, Path(folder, "events.db"), limits, script, questions)
