"""A TCP proxy on the loopback whose connections a test can cut, as a pulled cable or a dying router would."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain

import trio
from attrs import define, field

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)
"""SO_LINGER on with no time: closing sends RST, and drops what is not sent yet."""


Allowance = Callable[[], int | None]
"""How many bytes the next connection carries, both ways together, before it is cut; None for any number."""


@define(eq=False)
class Proxy:
    """Forwards `127.0.0.1:port` to the target. `connections` counts all that were ever made.

    `cuts` counts those that were cut since they had carried what they were allowed.
    """

    port: int
    connections: int = 0
    cuts: int = 0
    _allowance: Allowance = field(default=lambda: None, repr=False)
    _open: set[tuple[trio.SocketStream, trio.SocketStream]] = field(factory=set, repr=False)

    @property
    def open_connections(self) -> int:
        """How many are open now."""
        return len(self._open)

    def cut(self) -> int:
        """Reset every connection, at both ends, and return how many. Whatever was under way is lost."""
        pairs, self._open = self._open, set()
        for stream in chain.from_iterable(pairs):
            _reset(stream.socket)
        return len(pairs)

    async def forward(self, client: trio.SocketStream, target_port: int) -> None:
        """Carry one connection both ways until both ends are done or it is cut."""
        self.connections += 1
        async with client:
            try:
                target = await trio.open_tcp_stream("127.0.0.1", target_port)
            except OSError:
                return
            async with target:
                pair = (client, target)
                self._open.add(pair)
                allowed = _Allowed(self._allowance())
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, client, target, allowed)
                    nursery.start_soon(self._carry, target, client, allowed)
                self._open.discard(pair)

    async def _carry(self, source: trio.SocketStream, sink: trio.SocketStream, allowed: _Allowed) -> None:
        try:
            async for chunk in source:
                passed = allowed.of(chunk)
                await sink.send_all(passed)
                if len(passed) < len(chunk) and source.socket.fileno() >= 0:
                    self.cuts += 1
                    _reset(source.socket)
                    _reset(sink.socket)
            await sink.send_eof()
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            await source.aclose()
            await sink.aclose()


@define(eq=False)
class _Allowed:
    """How many bytes a connection may still carry; None for any number."""

    left: int | None

    def of(self, chunk: bytes | bytearray) -> bytes | bytearray:
        """The part of `chunk` that may pass, and does."""
        if self.left is None:
            return chunk
        passed = chunk[: self.left]
        self.left -= len(passed)
        return passed


@asynccontextmanager
async def severing_proxy(
    target_port: int | Callable[[], int], allowance: Allowance = lambda: None
) -> AsyncIterator[Proxy]:
    """A proxy on a free port in front of `127.0.0.1:target_port`, which each connection may ask for anew.

    `allowance` is asked for each connection.

    A connection that the target does not take is accepted and closed at once. What is open at the end of the
    context is cut.
    """
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    proxy = Proxy(listener.socket.getsockname()[1], allowance=allowance)

    async def accept(client: trio.SocketStream) -> None:
        await proxy.forward(client, target_port if isinstance(target_port, int) else target_port())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, accept, [listener])
        yield proxy
        proxy.cut()
        nursery.cancel_scope.cancel()


def _reset(end: trio.socket.SocketType) -> None:
    if end.fileno() >= 0:  # else it has just closed by itself
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        end.close()
