"""What an engine promises of following, and of whoever gives up in the middle."""

from __future__ import annotations

import trio
import trio.testing

from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    draft,
    drafts,
    follow_until,
    read_all,
    settings,
    until,
)


@check
async def following_begins_after_any_position_and_waits_for_more(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append(drafts(*["t.a"] * 5))
        seen: list[int] = []

        async def follow() -> None:
            async for batch in storage.follow(receipts[1].position):
                assert batch
                seen.extend(event.position.offset for event in batch)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await until(lambda: seen == [3, 4, 5])
            await storage.append(drafts("t.a", "t.b"))
            await until(lambda: seen == [3, 4, 5, 6, 7])
            nursery.cancel_scope.cancel()


@check
async def following_misses_nothing_while_appends_race(engine: Engine) -> None:
    async with engine.open(settings(max_events=100_000)) as storage:
        start = storage.head()
        total = 5 * 40
        seen: list[list[int]] = [[], [], []]

        async def append(author: int) -> None:
            for turn in range(40):
                await storage.append([draft(author=str(author), turn=turn)])
                if turn % 7 == author:
                    await trio.lowlevel.checkpoint()

        async def follow(mine: list[int]) -> None:
            async for batch in storage.follow(start):
                mine.extend(event.position.offset for event in batch)

        async with trio.open_nursery() as followers:
            for mine in seen:
                followers.start_soon(follow, mine)
            async with trio.open_nursery() as appenders:
                for author in range(5):
                    appenders.start_soon(append, author)
            await until(lambda: all(len(mine) >= total for mine in seen))
            followers.cancel_scope.cancel()
        assert seen == [list(range(1, total + 1))] * 3


@check
async def following_misses_nothing_though_more_is_appended_at_once_than_is_kept(engine: Engine) -> None:
    async with engine.open(settings(max_events=2, max_age_s=10)) as storage:
        seen: list[int] = []

        async def follow() -> None:
            async for batch in storage.follow(storage.tail()):
                seen.extend(event.position.offset for event in batch)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.testing.wait_all_tasks_blocked()
            await storage.append(drafts(*["t.a/k"] * 50))
            await storage.read(EVERYTHING, storage.tail(), 10)
            await storage.append(drafts(*["t.a/k"] * 50))
            await until(lambda: seen == list(range(1, 101)))
            nursery.cancel_scope.cancel()
        await storage.append(drafts("t.a/k"))
        assert [event.position.offset for event in await read_all(storage, EVERYTHING)] == [100, 101]


@check
async def a_cancelled_append_has_happened_whole_or_not_at_all(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        for turn in range(30):
            before = storage.head().offset
            async with trio.open_nursery() as nursery:
                nursery.start_soon(storage.append, [draft(again=f"{turn}-{n}") for n in range(3)])
                for _ in range(turn % 4):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            assert storage.head().offset - before in (0, 3)
            again = await storage.append([draft(again=f"{turn}-{n}") for n in range(3)])
            assert [receipt.position.offset - before for receipt in again] == [1, 2, 3]
            assert len({receipt.repeated for receipt in again}) == 1
        events = await read_all(storage, EVERYTHING)
        assert [event.position.offset for event in events] == list(range(1, 91))


@check
async def a_cancelled_follower_leaves_the_others_alone(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        with trio.move_on_after(0.01):
            async for _ in storage.follow(storage.head()):
                raise AssertionError("nothing was appended")
        await storage.append(drafts("t.a"))
        assert len(await follow_until(storage, storage.tail(), storage.head)) == 1
