"""Whose turn it is: of the hubs that would do something, one does it, and says how far it is.

That spares the others the work, and no more: a hub that has slept through the end of its turn may go on with
it for a moment, so whatever is done must bear being done twice.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from adohub import StorageError
from adohub_redis.faults import UnreachableError
from adohub_redis.line import Line
from adohub_redis.server import LEASE_S, Server

BEAT_S = 1.0
"""How often a hub asks for its turn, or says that it is still at it, in seconds."""

GIVE_UP_S = 1.0
"""How long giving it up may take, in seconds."""


class Turn:
    """This hub's turn to do `what`. `heed` is told now and then how far whoever has it is; `is_able` says
    whether this hub would do it.
    """

    def __init__(
        self,
        server: Server,
        line: Line,
        what: str,
        *,
        heed: Callable[[str], None] = lambda _: None,
        is_able: Callable[[], bool] = lambda: True,
    ) -> None:
        self._server = server
        self._line = line
        self._what = what
        self._heed = heed
        self._is_able = is_able
        self._until = -1.0
        self._change = trio.Event()
        self.so_far = ""
        """How far this hub is, for the next one to know."""

    @property
    def is_mine(self) -> bool:
        """Whether it is this hub's turn, and it is able."""
        return trio.current_time() < self._until and self._is_able()

    async def mine(self) -> None:
        """Wait until it is."""
        while not self.is_mine:
            await self._change.wait()

    async def run(self) -> None:
        """The task that asks for it again and again, and gives it up in the end."""
        try:
            while True:
                await self._ask(LEASE_S if self._is_able() else 0.0)
                await trio.sleep(BEAT_S)
        finally:
            with trio.move_on_after(GIVE_UP_S, shield=True):
                await self._ask(0.0)

    async def _ask(self, hold_s: float) -> None:
        try:
            link = await self._line.link()
            asked_at = trio.current_time()
            is_mine, word = await self._server.turn(link, self._what, hold_s, self.so_far)
        except (UnreachableError, StorageError):
            return  # the storage tells of it
        self._heed(word)
        self._until = asked_at + hold_s if is_mine else -1.0
        self._change.set()
        self._change = trio.Event()
