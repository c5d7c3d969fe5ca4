"""What an engine promises of being closed and opened again, and of forgetting."""

from __future__ import annotations

from adohub import Selection
from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    draft,
    drafts,
    durable_check,
    follow_until,
    read_all,
    settings,
)


@check
async def every_opening_of_an_engine_that_forgets_is_a_new_epoch(engine: Engine) -> None:
    epochs = set()
    for _ in range(3):
        async with engine.open(settings()) as storage:
            if not engine.durable:
                assert storage.head().offset == 0
            await storage.append(drafts("t.a/k"))
            epochs.add(storage.head().epoch)
    assert len(epochs) == (1 if engine.durable else 3)


@durable_check
async def opened_again_it_has_what_it_had(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        noted = draft("t.a", "k", at="", notes=((("at",), "Date"),))
        receipts = await storage.append([*drafts("t.a/k", "t.b/k"), noted])
        events = await read_all(storage, EVERYTHING)
        assert [event.notes for event in events] == [b"", b"", noted.notes]
        epoch = storage.head().epoch
    async with engine.open(settings()) as storage:
        assert storage.head() == receipts[-1].position
        assert storage.tail().offset == 0
        assert await read_all(storage, EVERYTHING) == events
        assert list((await storage.latest(EVERYTHING)).events) == events[1:]
        assert await follow_until(storage, receipts[0].position, storage.head) == events[1:]
        [receipt] = await storage.append([draft()])
        assert (receipt.position.epoch, receipt.position.offset) == (epoch, 4)


@durable_check
async def what_is_trimmed_ended_and_deleted_stays_so(engine: Engine) -> None:
    async with engine.open(settings(max_events=4, ended_s=10)) as storage:
        await storage.append([draft("state", "kept"), draft("state", "deleted"), *drafts("t.a/k", "t.b/k")])
        await storage.append(
            [draft("state", "deleted", ends=["state"]), draft("end", "k", ends=["t.a", "end"])]
        )
        await storage.append(drafts("u", "u", "u"))
        before = storage.head(), storage.tail(), (await storage.latest(EVERYTHING)).events
        assert [event.position.offset for event in before[2]] == [1, 3, 4, 5, 6, 9]
    async with engine.open(settings(max_events=4, ended_s=10)) as storage:
        assert (storage.head(), storage.tail(), (await storage.latest(EVERYTHING)).events) == before
        receipts = await storage.append(
            [draft("state", "kept", if_revision=0), draft("state", "deleted", if_revision=0)]
        )
        assert [(one.rejected, one.position.offset) for one in receipts] == [("revision", 1), ("", 10)]
        await engine.pass_time(20)
        latest = (await storage.latest(EVERYTHING)).events
        assert [event.position.offset for event in latest] == [1, 4, 9, 10]


@durable_check
async def tighter_limits_hold_for_what_was_kept_under_wider_ones(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(drafts(*["t.a/k"] * 50, "t.b/k"))
    async with engine.open(settings(max_events=5)) as storage:
        await storage.append(drafts("t.a/k"))
        assert storage.tail().offset == 47
        found = await read_all(storage, EVERYTHING)
        assert [event.position.offset for event in found] == [48, 49, 50, 51, 52]


@durable_check
async def a_repetition_is_recognised_after_opening_again(engine: Engine) -> None:
    async with engine.open(settings(idempotency_window_s=60)) as storage:
        [first] = await storage.append([draft(author="ann", again="x")])
    await engine.pass_time(30)
    async with engine.open(settings(idempotency_window_s=60)) as storage:
        again = [draft(author="ann", again="x"), draft(author="bob", again="x")]
        receipts = await storage.append(again)
        assert (receipts[0].position, receipts[0].timestamp) == (first.position, first.timestamp)
        assert [receipt.repeated for receipt in receipts] == [True, False]
        await engine.pass_time(31)
        assert [receipt.repeated for receipt in await storage.append(again)] == [False, True]


@durable_check
async def age_is_counted_on_while_it_is_closed(engine: Engine) -> None:
    async with engine.open(settings(max_age_s=10)) as storage:
        await storage.append(drafts("t.a/k"))
    await engine.pass_time(6)
    async with engine.open(settings(max_age_s=10)) as storage:
        await storage.append(drafts("t.a/k"))
        await engine.pass_time(6)
        assert storage.tail().offset == 1
        found = await read_all(storage, Selection(["t.a"], key="k"))
        assert [event.position.offset for event in found] == [2]


@durable_check
async def an_engine_that_has_lost_its_past_begins_a_new_epoch(engine: Engine) -> None:
    assert engine.lose is not None, "a durable engine can be made to forget"
    async with engine.open(settings()) as storage:
        await storage.append(drafts("t.a/k"))
        epoch = storage.head().epoch
    await engine.lose()
    async with engine.open(settings()) as storage:
        assert storage.head().offset == 0
        assert storage.head().epoch != epoch
