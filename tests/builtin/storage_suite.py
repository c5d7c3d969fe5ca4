"""What every storage engine promises (`adohub.Storage`), as checks that any engine can be put through.

`await check_storage(engine)` runs them all, each on a storage of its own; `CHECKS` has them one by one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
import trio.testing

from adohub import Event, Position, Selection
from tests.builtin.storage_words import (
    EVERYTHING,
    Engine,
    chosen,
    draft,
    drafts,
    follow_until,
    newest,
    read_all,
    settings,
    until,
)

PATIENCE_S = 20.0
"""How long one check may take, in seconds."""

Check = Callable[[Engine], Awaitable[None]]

CHECKS: list[Check] = []


def _check(check: Check) -> Check:
    CHECKS.append(check)
    return check


async def check_storage(engine: Engine) -> None:
    """Put `engine` through every check. Raises AssertionError where it breaks the contract."""
    for check in CHECKS:
        with trio.fail_after(PATIENCE_S):
            await check(engine)


# ── order ────────────────────────────────────────────────────────────────────────────────────────────


@_check
async def a_fresh_storage_is_empty(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        assert storage.head().offset == storage.tail().offset == 0
        assert storage.head().epoch == storage.tail().epoch
        assert await read_all(storage, EVERYTHING) == []
        assert list(await storage.latest(EVERYTHING)) == []


@_check
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


@_check
async def events_come_back_as_they_were_given(engine: Engine) -> None:
    given = draft("t.a", "k", text="ä\u2028\x00", nested={"list": [1, 2.5, None]})
    async with engine.open(settings()) as storage:
        [receipt] = await storage.append([given])
        expected = Event(receipt.position, "t.a", "k", given.body, given.timestamp)
        assert await read_all(storage, EVERYTHING) == [expected]
        assert list(await storage.latest(EVERYTHING)) == [expected]
        assert await follow_until(storage, storage.tail(), storage.head) == [expected]


@_check
async def an_empty_append_is_nothing(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        assert list(await storage.append([])) == []
        assert storage.head().offset == 0


@_check
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


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────

HISTORY = drafts(
    *(
        "t.a/k",
        "t.a/m",
        "t.b/k",
        "t.a",
        "u.a/k",
        "t.a/k",
        "t.b/m",
        "t.b",
        "u.a",
        "t.a.deep/k",
        "t.a/k",
        "u.b/m",
    )
)
SELECTIONS = [
    Selection(topics, key=key, visible=visible)
    for topics in (
        ["t.a"],
        ["t.a", "t.b"],
        ["t.b", "t.a", "t.a"],
        ["t.*"],
        ["t.**"],
        ["**"],
        ["*.a", "t.a"],
        ["x"],
    )
    for key in (None, "k", "m", "nobody")
    for visible in (None, ["t.a"], ["*.a", "u.**"], [])
]


@_check
async def reading_finds_what_a_look_at_every_event_finds(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(HISTORY)
        everything = await read_all(storage, EVERYTHING)
        assert [(event.topic, event.key, event.body) for event in everything] == [
            (one.topic, one.key, one.body) for one in HISTORY
        ]
        for selection in SELECTIONS:
            for limit in (1, 2, 100):
                assert await read_all(storage, selection, limit=limit) == chosen(selection, everything)
            latest = list(await storage.latest(selection))
            assert latest == newest(chosen(selection, everything))


@_check
async def reading_begins_after_any_position(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(HISTORY)
        everything = await read_all(storage, EVERYTHING)
        for selection in (EVERYTHING, Selection(["t.a"], key="k")):
            for event in everything:
                rest = [one for one in chosen(selection, everything) if one.position > event.position]
                assert await read_all(storage, selection, event.position, limit=2) == rest


@_check
async def reading_at_or_beyond_the_head_gives_nothing_and_says_so(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(HISTORY)
        head = storage.head()
        for after in (head, Position(head.epoch, head.offset + 5)):
            for selection in (EVERYTHING, Selection(["t.a"], key="k")):
                page = await storage.read(selection, after, 10)
                assert (list(page.events), page.more, page.reached >= after) == ([], False, True)


@_check
async def where_compares_payload_fields(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(
            [
                draft("t.a", "k", agent="x"),
                draft("t.a", "k", agent="y"),
                draft("t.a", "k"),
                draft("t.a", "k", agent="x", kind="out"),
                draft("t.a", "k", agent=["x"]),
            ]
        )
        for key in (None, "k"):
            one = Selection(["t.a"], key=key, where=[("agent", "x")])
            assert [event.position.offset for event in await read_all(storage, one)] == [1, 4]
            both = Selection(["t.a"], key=key, where=[("agent", "x"), ("kind", "out")])
            assert [event.position.offset for event in await read_all(storage, both, limit=1)] == [4]


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────


@_check
async def history_is_limited_by_count(engine: Engine) -> None:
    async with engine.open(settings(max_events=5)) as storage:
        for _ in range(20):
            await storage.append(drafts("t.a/k", "t.a/m"))
        assert (storage.head().offset, storage.tail().offset) == (40, 35)
        for selection, offsets in ((EVERYTHING, range(36, 41)), (Selection(["t.a"], key="k"), (37, 39))):
            for after in (storage.tail(), Position(storage.head().epoch, 0)):
                events = await read_all(storage, selection, after)
                assert [event.position.offset for event in events] == list(offsets)


@_check
async def a_batch_beyond_the_limit_keeps_its_last_events(engine: Engine) -> None:
    async with engine.open(settings(max_events=3)) as storage:
        receipts = await storage.append([draft(n=number) for number in range(1000)])
        assert [receipt.position.offset for receipt in receipts] == list(range(1, 1001))
        assert [event.payload["n"] for event in await read_all(storage, EVERYTHING)] == [997, 998, 999]


@_check
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


@_check
async def the_newest_of_each_key_outlives_history(engine: Engine) -> None:
    async with engine.open(settings(max_events=3, max_age_s=10)) as storage:
        await storage.append(drafts("t.a/k", "t.b/k", "t.a/k"))
        await storage.append(drafts("t.a/m", "t.a/m", "t.a/m"))
        await engine.pass_time(60)
        assert await read_all(storage, EVERYTHING) == []

        async def offsets(selection: Selection) -> list[int]:
            return [event.position.offset for event in await storage.latest(selection)]

        assert await offsets(EVERYTHING) == [2, 3, 6]
        assert await offsets(Selection(["t.a"], key="k")) == [3]
        assert await offsets(Selection(["t.a", "t.b"], key="k")) == [2, 3]
        assert await offsets(Selection(["t.b", "t.b"], key="k")) == [2]
        assert await offsets(Selection(["**"], visible=["t.b"])) == [2]


# ── idempotency ──────────────────────────────────────────────────────────────────────────────────────


@_check
async def a_repetition_within_the_window_gets_the_first_receipt(engine: Engine) -> None:
    async with engine.open(settings(idempotency_window_s=60)) as storage:
        [first] = await storage.append([draft(again="x", n=1)])
        await engine.pass_time(30)
        [second] = await storage.append([draft(again="x", n=2, moment="2030-01-01T00:00:00.000Z")])
        assert (second.position, second.timestamp) == (first.position, first.timestamp)
        assert (first.repeated, second.repeated) == (False, True)
        assert [event.payload for event in await read_all(storage, EVERYTHING)] == [{"n": 1}]


@_check
async def a_repetition_after_the_window_is_a_new_event(engine: Engine) -> None:
    async with engine.open(settings(idempotency_window_s=60)) as storage:
        [first] = await storage.append([draft(again="x")])
        await engine.pass_time(61)
        [second] = await storage.append([draft(again="x")])
        assert second.position > first.position
        assert not second.repeated


@_check
async def idempotency_keys_belong_to_their_authors(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append([draft(author=author, again="x") for author in ("ann", "bob", "ann")])
        assert [(one.position.offset, one.repeated) for one in receipts] == [
            (1, False),
            (2, False),
            (1, True),
        ]


@_check
async def drafts_without_idempotency_key_are_never_repetitions(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append([draft(), draft(), draft(again="x"), draft()])
        assert [receipt.position.offset for receipt in receipts] == [1, 2, 3, 4]


@_check
async def a_batch_sent_again_acts_for_its_new_drafts_alone(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append([draft(again="a"), draft(again="b")])
        receipts = await storage.append([draft(again="b"), draft(again="c"), draft(again="a")])
        assert [(one.position.offset, one.repeated) for one in receipts] == [(2, True), (3, False), (1, True)]
        assert storage.head().offset == 3


@_check
async def a_repetition_is_known_beyond_history(engine: Engine) -> None:
    async with engine.open(settings(max_events=10)) as storage:
        [first] = await storage.append([draft(again="x")])
        for _ in range(15):
            await storage.append([draft()])
        [second] = await storage.append([draft(again="x")])
        assert second.position == first.position


# ── following ────────────────────────────────────────────────────────────────────────────────────────


@_check
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


@_check
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


@_check
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


# ── cancellation ─────────────────────────────────────────────────────────────────────────────────────


@_check
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


@_check
async def a_cancelled_follower_leaves_the_others_alone(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        with trio.move_on_after(0.01):
            async for _ in storage.follow(storage.head()):
                raise AssertionError("nothing was appended")
        await storage.append(drafts("t.a"))
        assert len(await follow_until(storage, storage.tail(), storage.head)) == 1


# ── epochs ───────────────────────────────────────────────────────────────────────────────────────────


@_check
async def positions_of_one_storage_are_of_one_epoch(engine: Engine) -> None:
    async with engine.open(settings(max_events=2)) as storage:
        receipts = await storage.append(drafts("t.a", "t.b", "t.c"))
        page = await storage.read(EVERYTHING, storage.tail(), 10)
        positions = [storage.head(), storage.tail(), page.reached, *(one.position for one in receipts)]
        assert len({position.epoch for position in positions}) == 1
        assert all(Position.parse(str(position)) == position for position in positions)
