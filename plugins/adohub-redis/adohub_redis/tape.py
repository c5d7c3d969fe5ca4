"""What was heard on the channel and is not known to be taken in, in order and bounded.

Law: numbers grow, and what is let go of up to some number does not come back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import trio

MOST_MESSAGES = 65_536
"""How many messages are kept before the oldest are lost."""

MOST_BYTES = 32 * 1024 * 1024
"""How many bytes of them are."""


class Number(NamedTuple):
    """Which message it is: the `nth` after `mark`, for all who have heard that mark."""

    mark: int
    nth: int

    def __str__(self) -> str:
        return f"{self.mark}-{self.nth}"

    @staticmethod
    def parse(text: str) -> Number | None:
        """What `str` has made of it, or None for anything else."""
        mark, _, nth = text.partition("-")
        return Number(int(mark), int(nth)) if mark.isdecimal() and nth.isdecimal() else None


class Message(NamedTuple):
    """What somebody has published."""

    number: Number
    text: bytes


class Tape:
    """The messages that are kept. `lost` counts those that were not, for want of room, and not let go of."""

    def __init__(self, most_messages: int = MOST_MESSAGES, most_bytes: int = MOST_BYTES) -> None:
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._kept: deque[Message] = deque()
        self._bytes = 0
        self._gone = self._last_lost = Number(0, 0)
        self._arrival = trio.Event()
        self.lost = 0

    def add(self, message: Message) -> None:
        """Keep the newest of all, unless it is let go of already."""
        if message.number <= self._gone:
            return
        self._kept.append(message)
        self._bytes += len(message.text)
        while len(self._kept) > self._most_messages or self._bytes > self._most_bytes:
            self._last_lost = self._drop()
            self.lost += 1
        self._arrival.set()

    def let_go(self, upto: Number) -> None:
        """Keep nothing up to that number any more."""
        self._gone = max(self._gone, upto)
        while self._kept and self._kept[0].number <= upto:
            self._drop()
        if self._last_lost <= upto:
            self.lost = 0

    def _drop(self) -> Number:
        number, text = self._kept.popleft()
        self._bytes -= len(text)
        return number

    def first(self, number: int) -> Sequence[Message]:
        """The oldest, at most so many."""
        return list(islice(self._kept, number))

    async def filled(self) -> None:
        """Wait until there is one."""
        while not self._kept:
            self._arrival = trio.Event()
            await self._arrival.wait()
