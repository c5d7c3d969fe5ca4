"""What the memory of events promises beyond what the memory engine is put through with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

import pytest
import trio
import trio.testing

from adohub import Event, History, Position, Record, Selection
from adohub.plugin import history as module
from adohub.testing.storage import words
from adohub.testing.storage.words import EVERYTHING

EPOCH = "e1"


def record(offset: int, topic: str = "t.a", key: str | None = "k") -> Record:
    return (offset, topic, key, b"{}", "2026-01-02T03:04:05.678Z", b"")


def made(*offsets: int, after: int = 0, max_events: int = 1000) -> History:
    history = History(words.settings(max_events=max_events), EPOCH, lambda: 0.0, after=after)
    for offset in offsets:
        history.add(record(offset), (), 0.0)
    return history


def at(offset: int) -> Position:
    return Position(EPOCH, offset)


def offsets(events: Sequence[Event]) -> list[int]:
    return [event.position.offset for event in events]


@pytest.mark.parametrize(
    ("after", "found"),
    [(0, [3, 4, 90, 91]), (3, [4, 90, 91]), (4, [90, 91]), (50, [90, 91]), (90, [91]), (91, []), (99, [])],
)
@pytest.mark.parametrize("selection", [EVERYTHING, Selection(["t.a"], key="k")])
async def test_offsets_may_leave_some_out(after: int, found: list[int], selection: Selection) -> None:
    history = made(3, 4, 90, 91)
    page = await history.read(selection, at(after), 100)
    assert (offsets(page.events), page.more) == (found, False)
    assert page.reached == at(max(after, 91))


async def test_what_is_let_go_of_ends_at_an_event_also_where_some_are_left_out() -> None:
    history = made(3, 4, 90, 91, 92, max_events=2)
    assert history.tail() == at(90)
    assert offsets((await history.read(EVERYTHING, at(0), 100)).events) == [91, 92]


async def test_an_empty_one_begins_where_it_is_told() -> None:
    history = made(after=70)
    assert (history.head(), history.tail()) == (at(70), at(70))
    page = await history.read(EVERYTHING, history.tail(), 10)
    assert (page.events, page.reached, page.more) == ([], at(70), False)


async def test_what_is_undelivered_is_counted_by_who_is_furthest_behind() -> None:
    history = made(1, 2)
    assert history.undelivered == 0
    async with aclosing(history.follow(at(0))) as behind, aclosing(history.follow(at(1))) as ahead:
        assert (len(await anext(behind)), len(await anext(ahead))) == (2, 1)
        history.add(record(9), (), 0.0)
        history.add(record(10), (), 0.0)
        assert (len(await anext(ahead)), history.undelivered) == (2, 2)
        assert (len(await anext(behind)), history.undelivered) == (2, 0)


async def test_what_is_recalled_is_newest_and_no_history() -> None:
    history = made(after=5)
    history.recall(record(2, key="old"), None)
    history.recall(record(4, key="ended"), 0.0)
    history.add(record(6), (), 0.0)
    newest = await history.latest(EVERYTHING)
    assert offsets(newest.events) == [2, 4, 6]
    assert newest.ended == {at(4)}
    assert offsets((await history.read(EVERYTHING, at(0), 10)).events) == [6]
    assert history.revision(("t.a", "old")) == 2
    assert history.revision(("t.a", "ended")) == 0


async def test_one_batch_of_follow_holds_a_bounded_number_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_EVENTS", 10)
    history = made(*range(1, 26))
    history.close()
    assert [len(batch) async for batch in history.follow(at(0))] == [10, 10, 5]


async def test_who_follows_what_is_closed_gets_the_rest_and_then_the_end() -> None:
    history = made(1, 2)
    seen: list[int] = []
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            async def follow() -> None:
                async for batch in history.follow(at(0)):
                    seen.extend(offsets(batch))

            nursery.start_soon(follow)
            await trio.testing.wait_all_tasks_blocked()
            assert seen == [1, 2]
            history.add(record(7), (), 0.0)
            history.close()
    assert seen == [1, 2, 7]
