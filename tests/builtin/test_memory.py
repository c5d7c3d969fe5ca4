"""The memory engine keeps the storage contract, and what it says of itself beyond it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub import Draft, Selection, Storage, StorageSettings
from adohub.builtin.memory import MemoryStorage, open_memory
from adohub.plugin import history
from adohub.testing.storage import CHECKS, PATIENCE_S, Check, Engine, check_storage, words
from adohub.testing.storage.words import EVERYTHING, chosen, draft, read_all


def engine() -> Engine:
    moment = 1000.0

    @asynccontextmanager
    async def open_(settings: StorageSettings) -> AsyncIterator[Storage]:
        yield MemoryStorage(settings, lambda: moment)

    async def pass_time(seconds: float) -> None:
        nonlocal moment
        moment += seconds

    return Engine(open_, pass_time)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_storage_contract(check: Check) -> None:
    with trio.fail_after(PATIENCE_S):
        await check(engine())


async def test_the_suite_as_a_whole_passes_what_passes_each_check() -> None:
    async def make() -> Engine:
        return engine()

    await check_storage(make)


async def test_the_suite_catches_an_engine_that_shows_what_history_has_lost() -> None:
    class Forgetful(MemoryStorage):
        def _drop_from_index(self, event: object) -> None:
            """Leave the index as it is."""

    @asynccontextmanager
    async def open_(settings: StorageSettings) -> AsyncIterator[Storage]:
        yield Forgetful(settings)

    async def make() -> Engine:
        return Engine(open_, engine().pass_time)

    with pytest.raises(AssertionError):
        await check_storage(make)


some_drafts = st.lists(
    st.builds(
        lambda topic, key, color, notes: draft(
            topic, key, notes=notes, **({"color": color} if color else {})
        ),
        st.sampled_from(["t.a", "t.b", "t.a.deep", "u"]),
        st.sampled_from([None, "k", "m"]),
        st.sampled_from([None, "red", "blue"]),
        st.sampled_from([(), ((("color",), "bigint"),)]),
    ),
    max_size=40,
)
selections = st.builds(
    Selection,
    st.lists(st.sampled_from(["t.a", "t.b", "u", "t.*", "t.**", "**", "*.a"]), min_size=1, max_size=3),
    key=st.sampled_from([None, "k", "m"]),
    where=st.sampled_from([(), (("color", "red"),)]),
    visible=st.sampled_from([None, ("t.**",), ("t.a", "u")]),
)


@settings(max_examples=200, deadline=None)
@given(some_drafts, selections, st.integers(1, 5), st.integers(1, 40), st.integers(1, 7))
def test_index_and_scan_find_what_a_look_at_every_event_finds(
    given_drafts: list[Draft], selection: Selection, limit: int, max_events: int, scan: int
) -> None:
    async def run() -> None:
        storage = MemoryStorage(words.settings(max_events=max_events))
        for number in range(0, len(given_drafts), 7):
            await storage.append(given_drafts[number : number + 7])
        everything = await read_all(storage, EVERYTHING)
        assert await read_all(storage, selection, limit=limit) == chosen(selection, everything)
        kept = given_drafts[-max_events:]
        assert [(event.body, event.notes) for event in everything] == [(one.body, one.notes) for one in kept]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "SCAN_EVENTS", scan)
        trio.run(run)


async def test_every_opening_is_a_new_epoch() -> None:
    epochs = set()
    for _ in range(5):
        async with open_memory(words.settings()) as storage:
            await storage.append([draft()])
            epochs.add(storage.head().epoch)
    assert len(epochs) == 5


async def test_one_read_looks_at_a_bounded_number_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SCAN_EVENTS", 10)
    storage = MemoryStorage(words.settings())
    await storage.append([draft("t.a") for _ in range(25)])
    page = await storage.read(Selection(["nothing.*"]), storage.tail(), 5)
    assert (list(page.events), page.reached.offset, page.more) == ([], 10, True)


async def test_the_newest_beyond_history_are_bounded_the_oldest_go_first() -> None:
    storage = MemoryStorage(words.settings(max_events=3))
    await storage.append([draft("t.a", key) for key in "abcdefgha"])
    assert [event.key for event in (await storage.latest(EVERYTHING)).events] == [
        "d",
        "e",
        "f",
        "g",
        "h",
        "a",
    ]


async def test_memory_is_given_back() -> None:
    storage = MemoryStorage(words.settings(max_events=10))
    for number in range(200):
        await storage.append([draft("t.a", str(number), again=str(number)) for _ in range(10)])
    kept = storage._history
    assert len(kept._records) <= 10 + history.TRIM_SLACK + 10
    assert len(kept._arrived_at) == len(kept._records)
    assert len(kept._by_key) <= 10
    assert len(storage._repeats) <= 11
    assert kept._followed == {}


async def test_appending_and_reading_are_checkpoints() -> None:
    storage = MemoryStorage(words.settings())
    for call in (
        lambda: storage.append([draft()]),
        lambda: storage.read(EVERYTHING, storage.tail(), 1),
        lambda: storage.latest(EVERYTHING),
    ):
        with trio.testing.assert_checkpoints():
            await call()
