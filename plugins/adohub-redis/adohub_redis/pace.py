"""How many events to ask for at a time, so that an answer is neither long nor long in coming."""

from __future__ import annotations

from collections.abc import Sequence

from adohub_redis.entries import Arrived

FIRST_EVENTS = 16
MOST_EVENTS = 512

ANSWER_BYTES = 4 * 1024 * 1024
"""How many bytes of payload an answer is to have, about."""


class Pace:
    """`count` is how many to ask for next."""

    def __init__(self) -> None:
        self.count = FIRST_EVENTS

    def note(self, events: Sequence[Arrived]) -> None:
        """These were the answer."""
        size = sum(len(event.record[3]) for event in events)
        if size > ANSWER_BYTES:
            self.slow_down()
        elif len(events) == self.count and 2 * size < ANSWER_BYTES:
            self.count = min(2 * self.count, MOST_EVENTS)

    def slow_down(self) -> None:
        """Ask for less: an answer was long, or has not come."""
        self.count = max(1, self.count // 2)
