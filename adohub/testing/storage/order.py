"""What an engine promises of the order in which it keeps things, and of its positions."""

from __future__ import annotations

import trio

from adohub import Event, Position, Selection
from adohub.notes import Note, from_bytes, to_bytes
from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    draft,
    drafts,
    follow_until,
    read_all,
    settings,
)


@check
async def a_fresh_storage_is_empty(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        assert storage.head().offset == storage.tail().offset == 0
        assert storage.head().epoch == storage.tail().epoch
        assert await read_all(storage, EVERYTHING) == []
        assert list((await storage.latest(EVERYTHING)).events) == []


@check
async def receipts_tell_the_order(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = [
            *await storage.append(drafts("t.a/k", "t.b", "t.a/m")),
            *await storage.append([draft("t.c", moment="2020-01-01T00:00:00.000Z")]),
        ]
        positions = [receipt.position for receipt in receipts]
        assert [position.offset for position in positions] == [1, 2, 3, 4]
        assert sorted(map(str, positions)) == list(map(str, positions))
        assert storage.head() == positions[-1]
        assert receipts[-1].timestamp == "2020-01-01T00:00:00.000Z"
        assert not any(receipt.repeated for receipt in receipts)
        assert [event.position for event in await read_all(storage, EVERYTHING)] == positions


@check
async def events_come_back_as_they_were_given(engine: Engine) -> None:
    given = draft("t.a", "k", text="ä\u2028\x00", nested={"list": [1, 2.5, None]})
    async with engine.open(settings()) as storage:
        [receipt] = await storage.append([given])
        expected = Event(receipt.position, "t.a", "k", given.body, given.timestamp)
        assert await read_all(storage, EVERYTHING) == [expected]
        assert list((await storage.latest(EVERYTHING)).events) == [expected]
        assert await follow_until(storage, storage.tail(), storage.head) == [expected]


@check
async def events_come_back_with_their_notes_and_others_without_any(engine: Engine) -> None:
    notes: tuple[Note, ...] = (
        (("at", 0, 'a."\x00'), "Date"),
        (("ä",), "undefined"),
        ((), ("class", "Order")),
    )
    given = [draft("t.a", "k"), draft("t.a", "m", notes=notes), draft("t.b"), draft("t.a", "k", notes=notes)]
    expected = [one.notes for one in given]
    async with engine.open(settings()) as storage:
        await storage.append(given)
        for limit in (1, 100):
            events = await read_all(storage, EVERYTHING, limit=limit)
            assert [event.notes for event in events] == expected
        of_key = await read_all(storage, Selection(["t.a"], key="m"))
        assert [from_bytes(event.notes) for event in of_key] == [from_bytes(to_bytes(notes))]
        latest = (await storage.latest(EVERYTHING)).events
        assert [event.notes for event in latest] == expected[1:]
        followed = await follow_until(storage, storage.tail(), storage.head)
        assert [event.notes for event in followed] == expected


@check
async def an_empty_append_is_nothing(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        assert list(await storage.append([])) == []
        assert storage.head().offset == 0


@check
async def appends_at_once_each_stay_together(engine: Engine) -> None:
    async with engine.open(settings()) as storage:

        async def append(author: int) -> None:
            for turn in range(10):
                receipts = await storage.append([draft(author=str(author), by=author, turn=turn)] * 3)
                first = receipts[0].position.offset
                assert [one.position.offset for one in receipts] == [first, first + 1, first + 2]

        async with trio.open_nursery() as nursery:
            for author in range(5):
                nursery.start_soon(append, author)
        events = await read_all(storage, EVERYTHING)
        assert [event.position.offset for event in events] == list(range(1, 151))
        for author in range(5):
            turns = [event.payload["turn"] for event in events if event.payload["by"] == author]
            assert turns == sorted(turns)


@check
async def positions_of_one_storage_are_of_one_epoch(engine: Engine) -> None:
    async with engine.open(settings(max_events=2)) as storage:
        receipts = await storage.append(drafts("t.a", "t.b", "t.c"))
        page = await storage.read(EVERYTHING, storage.tail(), 10)
        positions = [storage.head(), storage.tail(), page.reached, *(one.position for one in receipts)]
        assert len({position.epoch for position in positions}) == 1
        assert all(Position.parse(str(position)) == position for position in positions)
