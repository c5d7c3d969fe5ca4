"""Hears the channel, for as long as the hub runs, and numbers what is said there.

A channel numbers nothing, and each hub begins to hear it at another time. So whoever begins puts a mark
there, which all hear in the same place among the messages, and all count from the newest mark.

Law: a message has the same number on every hub that hears it, and no other has that number.
"""

from __future__ import annotations

import math

import structlog
import trio

from adohub import StorageError
from adohub_redis import form
from adohub_redis.address import Address
from adohub_redis.faults import UnreachableError
from adohub_redis.line import Rests
from adohub_redis.link import Link, opened
from adohub_redis.server import Server
from adohub_redis.tape import Message, Number, Tape

PROVE_S = 1.0
"""How often the server is asked whether it is there, in seconds: a channel may be silent for long."""

YIELD_S = 3.0
"""For how long a hub that has missed some lets others go first, in seconds: they may have heard it."""

MOST_DIGITS = 20
"""The longest mark, in characters."""

_log = structlog.get_logger("adohub.redis")


class Channel:
    """The channel that the server's keys name; what is heard there goes to `tape`."""

    def __init__(self, server: Server, address: Address, tape: Tape) -> None:
        self._server = server
        self._address = address
        self.tape = tape
        self._newest_mark = 0
        self._number: Number | None = None
        """Of the message that was heard last; None if no mark was, since it is heard without a break."""
        self._whole = trio.Event()
        self._broken_at = -math.inf
        self._fault = ""

    @property
    def is_whole(self) -> bool:
        """Whether all is heard that is said there just now."""
        return self._number is not None

    @property
    def is_sound(self) -> bool:
        """Whether it is, and nothing was missed of late."""
        return self.is_whole and trio.current_time() >= self._broken_at + YIELD_S

    async def whole(self) -> None:
        """Wait until all is heard."""
        while not self.is_whole:
            await self._whole.wait()

    async def run(self) -> None:
        """The task that hears, for ever."""
        rests = Rests()
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    async with opened(nursery, self._address, self._server.keys.tag) as link:
                        rests.begin_anew()
                        await self._begin(link)
                        nursery.start_soon(self._prove, link)
                        await link.hear(self._take)
                except UnreachableError as error:
                    _log.debug("the channel is not heard", error=str(error))  # who needs the server says so
                except StorageError as error:
                    self._complain(str(error))
                if self.is_whole:
                    self._number, self._whole = None, trio.Event()
                    self._broken_at = trio.current_time()
                await rests.rest()

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            _log.warning("the channel cannot be heard", channel=self._server.keys.channel, error=fault)
        self._fault = fault

    async def _begin(self, link: Link) -> None:
        keys = self._server.keys
        link.subscribe(keys.channel, keys.marks)
        await self._server.mark(
            link, self._newest_mark
        )  # nothing else is asked before it: see Link.subscribe

    async def _prove(self, link: Link) -> None:
        """Close the link when nobody answers there."""
        while not link.closed.is_set():
            try:
                await link.request("PING")
            except (UnreachableError, StorageError):
                link.close()
            await trio.sleep(PROVE_S)

    def _take(self, channel: bytes, text: bytes) -> None:
        if channel == self._server.keys.marks.encode():
            self._count_from(text)
        elif self._number is not None and not form.is_ours(text):
            self._number = Number(self._number.mark, self._number.nth + 1)
            self.tape.add(Message(self._number, text[: form.MOST_BYTES + 1]))

    def _count_from(self, mark: bytes) -> None:
        """Count from here, unless it is a stranger who says so."""
        if mark.isdigit() and len(mark) <= MOST_DIGITS and int(mark) > self._newest_mark:
            self._newest_mark = int(mark)
            self._number = Number(self._newest_mark, 0)
            self._fault = ""
            self._whole.set()
