"""A link to a server that a test can part: it then looks to both ends as if packets were lost for ever.

Nothing is refused or closed while it is parted, as on a network where nobody answers; what was said meanwhile
arrives once it is healed.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from adohub_redis.testing.forwarding import join

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)
"""SO_LINGER on with no time: closing sends RST, and drops what is not sent yet."""


@define(eq=False)
class _Link:
    """One connection: the sockets at its ends, and what carries it."""

    ends: list[trio.SocketStream]
    carried: trio.CancelScope = field(factory=trio.CancelScope)

    def reset(self) -> None:
        """Drop it and all that is under way."""
        for stream in self.ends:
            if stream.socket.fileno() >= 0:  # else it has just closed by itself
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self.carried.cancel()


@define(eq=False)
class Partition:
    """Forwards 127.0.0.1:`port` to a server, while it is not parted. `connections` counts all ever made."""

    port: int
    connections: int = 0
    _target: int = field(default=0, repr=False)
    _whole: trio.Event = field(factory=trio.Event, repr=False)
    _links: set[_Link] = field(factory=set, repr=False)

    def stop_forwarding(self) -> None:
        """Part it: open connections stay, new ones are made, and no byte comes through."""
        if self._whole.is_set():
            self._whole = trio.Event()

    def heal(self) -> None:
        """Go on: first with what was said meanwhile."""
        self._whole.set()

    def sever(self) -> None:
        """Reset every connection at both ends; whatever was under way is lost. New ones may be made."""
        for link in self._links:
            link.reset()

    async def forward(self, client: trio.SocketStream) -> None:
        """Carry one connection until it ends or is severed."""
        self.connections += 1
        link = _Link([client])
        self._links.add(link)
        try:
            with link.carried:
                await self._forward(link)
        finally:
            self._links.discard(link)
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(client)

    async def _forward(self, link: _Link) -> None:
        await self._passable()
        try:
            target = await trio.open_tcp_stream("127.0.0.1", self._target)
        except OSError:
            link.reset()  # as refused
            return
        link.ends.append(target)
        await join(link.ends[0], target, self._passable)

    async def _passable(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._whole.is_set():
            await self._whole.wait()


@asynccontextmanager
async def partition(target_port: int) -> AsyncIterator[Partition]:
    """A link to 127.0.0.1:`target_port`, whole at first; what is open at the end is severed.

    It leads to a single server: replicas and Clusters tell clients of their own ports.
    """
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    link = Partition(listener.socket.getsockname()[1], target=target_port)
    link.heal()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, link.forward, [listener])
        yield link
        link.sever()
        nursery.cancel_scope.cancel()
