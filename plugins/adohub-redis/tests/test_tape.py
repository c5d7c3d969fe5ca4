"""What was heard is kept in order and within bounds, and what is let go of does not come back."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from adohub_redis.tape import Message, Number, Tape


def heard(tape: Tape, *numbers: tuple[int, int], size: int = 1) -> None:
    for number in numbers:
        tape.add(Message(Number(*number), b"x" * size))


def kept(tape: Tape) -> list[tuple[int, int]]:
    return [tuple(message.number) for message in tape.first(100)]  # type: ignore[misc]


def test_numbers_survive_as_text() -> None:
    number = Number(1_795_634_832_450_855, 12)
    assert Number.parse(str(number)) == number
    for other in ("", "-", "1", "1-", "-1", "a-b", "1-2-3", "-1-2"):
        assert Number.parse(other) is None


def test_messages_are_kept_in_order_until_they_are_let_go_of() -> None:
    tape = Tape()
    heard(tape, (1, 1), (1, 2), (5, 1), (5, 2))
    assert kept(tape) == [(1, 1), (1, 2), (5, 1), (5, 2)]
    assert [one.number for one in tape.first(1)] == [Number(1, 1)]
    tape.let_go(Number(5, 1))
    assert kept(tape) == [(5, 2)]


def test_what_was_let_go_of_before_it_was_heard_is_not_kept() -> None:
    tape = Tape()
    tape.let_go(Number(5, 2))
    heard(tape, (4, 9), (5, 1), (5, 2), (5, 3))
    assert kept(tape) == [(5, 3)]
    tape.let_go(Number(1, 1))
    heard(tape, (5, 4))
    assert kept(tape) == [(5, 3), (5, 4)]


@pytest.mark.parametrize("tape", [Tape(most_messages=2), Tape(most_bytes=20)], ids=["messages", "bytes"])
def test_the_oldest_are_lost_when_there_is_no_room(tape: Tape) -> None:
    heard(tape, (1, 1), (1, 2), (1, 3), (1, 4), size=10)
    assert kept(tape) == [(1, 3), (1, 4)]
    assert tape.lost == 2


def test_what_somebody_has_taken_in_is_not_lost() -> None:
    tape = Tape(most_messages=2)
    heard(tape, (1, 1), (1, 2), (1, 3), (1, 4))
    tape.let_go(Number(1, 1))
    assert tape.lost == 2
    tape.let_go(Number(1, 2))
    assert tape.lost == 0


def test_room_that_was_given_back_is_used_again() -> None:
    tape = Tape(most_bytes=20)
    for nth in range(1, 100):
        heard(tape, (1, nth), size=20)
        tape.let_go(Number(1, nth))
    assert tape.lost == 0


async def test_who_waits_is_told_of_the_first() -> None:
    tape = Tape()
    heard(tape, (1, 1))
    tape.let_go(Number(1, 1))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tape.filled)
            await trio.testing.wait_all_tasks_blocked()
            assert nursery.child_tasks
            heard(tape, (1, 2))
