"""What an engine promises of drafts that are sent again."""

from __future__ import annotations

from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    draft,
    read_all,
    settings,
)


@check
async def a_repetition_within_the_window_gets_the_first_receipt(engine: Engine) -> None:
    async with engine.open(settings(idempotency_window_s=60)) as storage:
        [first] = await storage.append([draft(again="x", n=1)])
        await engine.pass_time(30)
        [second] = await storage.append([draft(again="x", n=2, moment="2030-01-01T00:00:00.000Z")])
        assert (second.position, second.timestamp) == (first.position, first.timestamp)
        assert (first.repeated, second.repeated) == (False, True)
        assert [event.payload for event in await read_all(storage, EVERYTHING)] == [{"n": 1}]


@check
async def a_repetition_after_the_window_is_a_new_event(engine: Engine) -> None:
    async with engine.open(settings(idempotency_window_s=60)) as storage:
        [first] = await storage.append([draft(again="x")])
        await engine.pass_time(61)
        [second] = await storage.append([draft(again="x")])
        assert second.position > first.position
        assert not second.repeated


@check
async def idempotency_keys_belong_to_their_authors(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append([draft(author=author, again="x") for author in ("ann", "bob", "ann")])
        assert [(one.position.offset, one.repeated) for one in receipts] == [
            (1, False),
            (2, False),
            (1, True),
        ]


@check
async def drafts_without_idempotency_key_are_never_repetitions(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append([draft(), draft(), draft(again="x"), draft()])
        assert [receipt.position.offset for receipt in receipts] == [1, 2, 3, 4]


@check
async def a_batch_sent_again_acts_for_its_new_drafts_alone(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append([draft(again="a"), draft(again="b")])
        receipts = await storage.append([draft(again="b"), draft(again="c"), draft(again="a")])
        assert [(one.position.offset, one.repeated) for one in receipts] == [(2, True), (3, False), (1, True)]
        assert storage.head().offset == 3


@check
async def a_repetition_is_known_beyond_history(engine: Engine) -> None:
    async with engine.open(settings(max_events=10)) as storage:
        [first] = await storage.append([draft(again="x")])
        for _ in range(15):
            await storage.append([draft()])
        [second] = await storage.append([draft(again="x")])
        assert second.position == first.position
