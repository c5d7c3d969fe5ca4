"""At the end of a turn every outbox that has replies is flushed, once, in slices; newcomers take turns."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import trio
import trio.testing

from adohub.net.outbox import Outbox
from adohub.net.turn import GREETINGS_A_TURN, WRITES_AT_A_TIME, Turn


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


async def test_newcomers_take_turns() -> None:
    turn = Turn()
    greeted: list[int] = []

    async def greet(number: int) -> None:
        await turn.place()
        greeted.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn.run)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(5 * GREETINGS_A_TURN):
            nursery.start_soon(greet, number)
        seen = [len(greeted)]
        while len(greeted) < 5 * GREETINGS_A_TURN:
            await trio.lowlevel.checkpoint()
            seen.append(len(greeted))
        nursery.cancel_scope.cancel()
    between = max(after - before for before, after in pairwise(seen))
    assert between <= 2 * GREETINGS_A_TURN  # at the end of one turn and at the beginning of the next


async def test_who_gives_up_waiting_for_a_place_holds_nobody_up() -> None:
    turn = Turn()
    async with trio.open_nursery() as nursery:
        for _ in range(GREETINGS_A_TURN):
            await turn.place()
        for _ in range(2 * GREETINGS_A_TURN):
            with trio.move_on_after(0):
                await turn.place()
        nursery.start_soon(turn.run)
        with trio.fail_after(5):
            await turn.place()
        nursery.cancel_scope.cancel()
