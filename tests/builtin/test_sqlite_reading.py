"""Whatever was appended, sqlite reads back what a look at every event finds, however its pages are cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
import trio
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub import EXISTS, Draft, Position, Selection, StorageSettings
from adohub.builtin.sqlite import reader
from adohub.builtin.sqlite import storage as sqlite_storage
from adohub.builtin.sqlite.storage import SqliteStorage
from adohub.notes import Notes
from adohub.testing.storage import words
from adohub.testing.storage.words import draft, read_all
from tests.builtin.naive import NaiveStorage
from tests.builtin.sqlite_files import Clock, opened

# ── what may happen ──────────────────────────────────────────────────────────────────────────────────

Revision = Literal["any", "right", "wrong", "none", "some"]


@frozen
class Wanted:
    """A draft, as far as it is known before its turn comes."""

    topic: str
    key: str | None
    color: str | None
    size: int
    ends: Sequence[str]
    revision: Revision
    is_noted: bool

    def draft(self, model: NaiveStorage) -> Draft:
        """It, with the revision that is right or wrong just now."""
        now = model.revision(self.topic, self.key)
        revisions = {"any": None, "right": now, "wrong": now + 1, "none": 0, "some": EXISTS}
        payload: dict[str, Any] = {"color": self.color} if self.color else {}
        notes: Notes = ((("text",), "Date"),) if self.is_noted else ()
        one = draft(self.topic, self.key, ends=self.ends, notes=notes, text="x" * self.size, **payload)
        return one._replace(if_revision=revisions[self.revision])


Step = Sequence[Wanted] | float | Literal["tidy", "reopen"]
"""A batch to append, seconds that pass, or something that must change nothing but what is too much."""


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


@frozen
class Question:
    """What is asked in the end."""

    selection: Selection
    after: int
    limit: int


def neither_u_nor_k(topic: str, key: str | None) -> bool:
    """What someone may be permitted to see."""
    return topic != "u" and key != "k"


TOPICS = ["t.a", "t.b", "t.a.deep", "u", "state"]
texts = st.sampled_from(
    ["", "k", "km", "k\0", "k\0m", "k\ud7ff", "k\ue000", "k\U0010ffff", "\0", "\x1f", "\U0010ffff" * 2]
)
"""Among others the last code point of all, and the last before those that no text has."""
keys = st.just("k") | st.sampled_from([None, "k\0"]) | texts
topics = st.just("t.a") | st.sampled_from(TOPICS)
wanted = st.builds(
    Wanted,
    topics,
    keys,
    st.sampled_from([None, "red", "blue"]),
    st.sampled_from([0, 1, 400, 2000]),
    st.just(()) | st.lists(topics, max_size=2),
    st.sampled_from(["any", "any", "any", "right", "wrong", "none", "some"]),
    st.booleans(),
)
steps = st.lists(
    st.lists(wanted, min_size=1, max_size=8) | st.sampled_from([1.0, 4.0, "tidy", "reopen"]),
    min_size=3,
    max_size=16,
)
bounds = st.builds(Bounds, st.integers(1, 20), st.integers(1000, 3000), st.integers(1, 8), st.integers(1, 4))
anything = st.builds(
    Selection,
    st.lists(st.sampled_from([*TOPICS, "t.*", "t.**", "**", "*.a", "nothing"]), min_size=1, max_size=3),
    key=st.none() | keys,
    where=st.sampled_from([(), (("color", "red"),)]),
    visible=st.sampled_from([None, ("t.**", "state"), ("t.a", "u"), ()]),
    prefix=st.none() | texts,
    permits=st.sampled_from([None, neither_u_nor_k]),
)
questions = st.lists(
    st.builds(Question, anything, st.integers(0, 40), st.integers(1, 7)), min_size=1, max_size=5
)
limits = st.builds(
    lambda max_events, state_keys: words.settings(
        max_events=max_events, max_age_s=10, ended_s=3, state_keys=state_keys
    ),
    st.integers(1, 12),
    st.integers(1, 3),
)
ALWAYS = [
    Question(Selection(topics, key=key, where=where), 0, limit)
    for topics in (["t.a"], ["u", "t.a", "state"])
    for key in ("k", "k\0", None)
    for where, limit in (((), 2), ((("color", "red"),), 3))
]
"""What is asked every time."""


# ── and what must come of it ─────────────────────────────────────────────────────────────────────────


async def take(step: Step, storage: SqliteStorage, model: NaiveStorage) -> None:
    """One step of both, of which both must say the same."""
    if step == "tidy":
        while await storage._tidy_step():
            pass
        model.tidy()
    elif not isinstance(step, float | str):
        drafts = [one.draft(model) for one in step]
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
