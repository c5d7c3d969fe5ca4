"""Keeps a link to the server up, for as long as the hub runs; whoever wants to ask something waits for it."""

from __future__ import annotations

import random

import structlog
import trio

from adohub import StorageError
from adohub_redis.address import Address
from adohub_redis.faults import UnreachableError
from adohub_redis.link import Link, opened

FIRST_REST_S = 0.02
"""How long it rests before it connects again, in seconds; longer each time that it cannot."""

LONGEST_REST_S = 1.0
"""The longest of these rests, in seconds."""

_log = structlog.get_logger("adohub.redis")


class Line:
    """A link that is made anew whenever it breaks."""

    def __init__(self, address: Address, tag: str) -> None:
        self._address = address
        self._tag = tag
        self._link: Link | None = None
        self._change = trio.Event()
        self.fault = "Redis has not answered yet"
        """Why there is no link, or was none, in words for an operator."""
        self.lost_at: float | None = trio.current_time()
        """Since when there is none, on trio's clock."""

    async def run(self) -> None:
        """The task that connects, and connects again."""
        rests = Rests()
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    async with opened(nursery, self._address, self._tag) as link:
                        self._put(link)
                        await link.closed.wait()
                        self.fault = link.fault
                    if link.was_of_use:  # cut again and again it must not rest ever longer, then
                        rests.begin_anew()
                except (UnreachableError, StorageError) as error:
                    self.fault = str(error)
                finally:
                    self._take()
                await rests.rest()

    def _put(self, link: Link) -> None:
        self._link, self.lost_at = link, None
        self._tell()

    def _take(self) -> None:
        self._link = None
        if self.lost_at is None:
            self.lost_at = trio.current_time()
        self._tell()

    def _tell(self) -> None:
        self._change.set()
        self._change = trio.Event()

    async def link(self) -> Link:
        """The link, once there is one; of use until `closed`."""
        while self._link is None or self._link.closed.is_set():
            await self._change.wait()
        return self._link


class Rests:
    """How long to rest before the next try: a moment, then twice as long each time, never all at once."""

    def __init__(self) -> None:
        self._next_s = FIRST_REST_S

    def begin_anew(self) -> None:
        """It has worked."""
        self._next_s = FIRST_REST_S

    async def rest(self) -> None:
        """Rest."""
        length, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_REST_S)
        await trio.sleep(length * random.uniform(0.5, 1.0))
