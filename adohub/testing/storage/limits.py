"""What an engine promises of the limits of history."""

from __future__ import annotations

from adohub import Position, Selection
from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    draft,
    drafts,
    read_all,
    settings,
)


@check
async def history_is_limited_by_count(engine: Engine) -> None:
    async with engine.open(settings(max_events=5)) as storage:
        for _ in range(20):
            await storage.append(drafts("t.a/k", "t.a/m"))
        assert (storage.head().offset, storage.tail().offset) == (40, 35)
        for selection, offsets in ((EVERYTHING, range(36, 41)), (Selection(["t.a"], key="k"), (37, 39))):
            for after in (storage.tail(), Position(storage.head().epoch, 0)):
                events = await read_all(storage, selection, after)
                assert [event.position.offset for event in events] == list(offsets)


@check
async def a_batch_beyond_the_limit_keeps_its_last_events(engine: Engine) -> None:
    async with engine.open(settings(max_events=3)) as storage:
        receipts = await storage.append([draft(n=number) for number in range(1000)])
        assert [receipt.position.offset for receipt in receipts] == list(range(1, 1001))
        assert [event.payload["n"] for event in await read_all(storage, EVERYTHING)] == [997, 998, 999]


@check
async def history_is_limited_by_age(engine: Engine) -> None:
    async with engine.open(settings(max_age_s=10)) as storage:
        await storage.append(drafts("t.a/k"))
        await engine.pass_time(6)
        await storage.append(drafts("t.a/k"))
        await engine.pass_time(6)
        assert storage.tail().offset == 1
        for selection in (EVERYTHING, Selection(["t.a"], key="k")):
            assert [event.position.offset for event in await read_all(storage, selection)] == [2]
        await engine.pass_time(6)
        assert storage.tail() == storage.head()
        for selection in (EVERYTHING, Selection(["t.a"], key="k")):
            for after in (storage.tail(), Position(storage.head().epoch, 0)):
                assert await read_all(storage, selection, after) == []
        [receipt] = await storage.append(drafts("t.a/k"))
        assert receipt.position.offset == 3
        assert [event.position.offset for event in await read_all(storage, EVERYTHING)] == [3]


@check
async def the_newest_of_each_key_outlives_history(engine: Engine) -> None:
    async with engine.open(settings(max_events=3, max_age_s=10)) as storage:
        await storage.append(drafts("t.a/k", "t.b/k", "t.a/k"))
        await storage.append(drafts("t.a/m", "t.a/m", "t.a/m"))
        await engine.pass_time(60)
        assert await read_all(storage, EVERYTHING) == []

        async def offsets(selection: Selection) -> list[int]:
            return [event.position.offset for event in (await storage.latest(selection)).events]

        assert await offsets(EVERYTHING) == [2, 3, 6]
        assert await offsets(Selection(["t.a"], key="k")) == [3]
        assert await offsets(Selection(["t.a", "t.b"], key="k")) == [2, 3]
        assert await offsets(Selection(["t.b", "t.b"], key="k")) == [2]
        assert await offsets(Selection(["**"], visible=["t.b"])) == [2]
