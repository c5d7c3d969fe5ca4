"""At the end of a turn every outbox that has replies is flushed, once, and in slices."""

from __future__ import annotations

from typing import cast

import trio
import trio.testing

from adohub.net.outbox import Outbox
from adohub.net.turn import WRITES_AT_A_TIME, Turn


class Flushed:
    """An outbox as a turn sees it."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def outboxes(number: int) -> list[Outbox]:
    return [cast("Outbox", Flushed()) for _ in range(number)]


def flushes(gathered: list[Outbox]) -> list[int]:
    return [cast("Flushed", outbox).flushes for outbox in gathered]


async def test_what_is_gathered_is_flushed_once_when_everybody_else_has_run() -> None:
    turn, gathered = Turn(), outboxes(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn.run)
        await trio.testing.wait_all_tasks_blocked()
        for outbox in gathered:
            turn.gather(outbox)
        assert flushes(gathered) == [0, 0, 0]
        await trio.testing.wait_all_tasks_blocked()
        assert flushes(gathered) == [1, 1, 1]
        turn.gather(gathered[1])
        await trio.testing.wait_all_tasks_blocked()
        assert flushes(gathered) == [1, 2, 1]
        nursery.cancel_scope.cancel()


async def test_others_run_while_many_are_flushed() -> None:
    turn, gathered = Turn(), outboxes(3 * WRITES_AT_A_TIME)
    seen = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn.run)
        await trio.testing.wait_all_tasks_blocked()
        for outbox in gathered:
            turn.gather(outbox)
        while sum(flushes(gathered)) < len(gathered):
            await trio.lowlevel.checkpoint()
            seen.append(sum(flushes(gathered)))
        nursery.cancel_scope.cancel()
    assert {WRITES_AT_A_TIME, 2 * WRITES_AT_A_TIME} & set(seen)
    assert set(seen) <= {number * WRITES_AT_A_TIME for number in range(4)}
    assert flushes(gathered) == [1] * len(gathered)
