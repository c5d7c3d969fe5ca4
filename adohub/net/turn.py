"""One turn of the scheduler: its replies leave together, and only a few newcomers are greeted in it.

Measured reasons: with 64 publishes of one client in flight, an acknowledgement each by itself made the system
calls a fifth of all work; and 100 clients that connect at once held others up for 10 ms.
"""

from __future__ import annotations

from collections import deque

import trio

from adohub.net.outbox import Outbox

GREETINGS_A_TURN = 32
"""How many new connections are greeted in one turn.

With four it took 5,000 clients a quarter more time until all were in.
"""

WRITES_AT_A_TIME = 256
"""After how many writes others may run."""


class Turn:
    """Gathers the outboxes that have replies to write, and has them written when the turn is over.

    Then it gives places in the next turn to those who wait for one.
    """

    def __init__(self) -> None:
        self._gathered: list[Outbox] = []
        self._places = GREETINGS_A_TURN
        self._waiting: deque[trio.Event] = deque()
        self._begun = trio.Event()

    def gather(self, outbox: Outbox) -> None:
        """Flush `outbox` at the turn's end."""
        self._gathered.append(outbox)
        self._begun.set()

    async def place(self) -> None:
        """Wait in line until a turn has room for one more greeting. No checkpoint if this one has."""
        if self._places == 0 or self._waiting:
            mine = trio.Event()
            self._waiting.append(mine)
            await mine.wait()
            return
        self._places -= 1
        self._begun.set()

    def _give_places(self) -> None:
        self._places = GREETINGS_A_TURN
        while self._waiting and self._places:
            self._waiting.popleft().set()
            self._places -= 1
            self._begun.set()

    async def run(self) -> None:
        """The task that writes. Being woken is what ends a turn: all others that were ready have run."""
        while True:
            await self._begun.wait()
            outboxes, self._gathered = self._gathered, []
            self._begun = trio.Event()
            self._give_places()
            for number, outbox in enumerate(outboxes, start=1):
                outbox.flush()
                if number % WRITES_AT_A_TIME == 0:
                    await trio.lowlevel.checkpoint()
