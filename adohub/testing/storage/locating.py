"""What an engine promises of where somebody goes on who has seen everything up to some position."""

from __future__ import annotations

from adohub import Located, Position, Storage
from adohub.testing.storage.words import Engine, check, drafts, durable_check, settings

LATER = "z" * 32
"""An epoch after any other."""

EARLIER = "0"
"""An epoch before any other."""


async def where(storage: Storage, seen: Position) -> Located:
    """What is certain of `seen`, and what was said at once if that was called certain."""
    at_once = storage.locate(seen)
    confirmed = await storage.confirm(seen)
    assert confirmed.certain
    assert confirmed.position <= storage.head(), "a position that is not there yet"
    if at_once.certain:
        assert at_once == confirmed
    return confirmed


@check
async def a_position_of_its_own_is_gone_on_after(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        before = storage.tail()
        receipts = await storage.append(drafts("t.a", "t.b", "t.a"))
        for seen in (before, *(receipt.position for receipt in receipts)):
            assert storage.locate(seen) == Located(seen, whole=True)
            assert await where(storage, seen) == Located(seen, whole=True)


@check
async def a_position_before_the_tail_is_not_whole_and_the_tail_is_gone_on_after(engine: Engine) -> None:
    async with engine.open(settings(max_events=2)) as storage:
        receipts = [(await storage.append(drafts("t.a")))[0] for _ in range(6)]
        tail = storage.tail()
        assert tail == receipts[3].position
        for receipt in receipts[:3]:
            assert await where(storage, receipt.position) == Located(tail, whole=False)
        assert await where(storage, tail) == Located(tail, whole=True)


@check
async def a_position_beyond_the_head_is_not_whole(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(drafts("t.a", "t.b"))
        head = storage.head()
        beyond = await where(storage, Position(head.epoch, head.offset + 1_000_000))
        assert not beyond.whole
        assert storage.tail() <= beyond.position


@check
async def a_position_of_another_epoch_is_not_whole_and_the_tail_is_gone_on_after(engine: Engine) -> None:
    async with engine.open(settings(max_events=2)) as storage:
        for _ in range(5):
            await storage.append(drafts("t.a"))
        for seen in (Position(EARLIER, 4), Position(LATER, 4), Position("", 0)):
            assert await where(storage, seen) == Located(storage.tail(), whole=False)


@check
async def an_engine_that_works_knows_of_no_trouble(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        assert storage.trouble() is None
        await storage.append(drafts("t.a"))
        assert storage.trouble() is None


@durable_check
async def a_position_stays_whole_after_opening_again_and_not_once_the_past_is_lost(engine: Engine) -> None:
    assert engine.lose is not None, "a durable engine can be made to forget"
    async with engine.open(settings()) as storage:
        receipts = await storage.append(drafts("t.a", "t.b"))
    async with engine.open(settings()) as storage:
        for receipt in receipts:
            assert await where(storage, receipt.position) == Located(receipt.position, whole=True)
    await engine.lose()
    async with engine.open(settings()) as storage:
        await storage.append(drafts("t.a", "t.b", "t.c"))
        assert not (await where(storage, receipts[0].position)).whole
