"""What is asked on one connection: request after request, until one wants a WebSocket or either side closes.

    waiting for a request's first byte > reading its head > answering > waiting until the answer is taken

Each of these is bounded in time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from adohub.errors import OverLimit
from adohub.metrics import Metrics
from adohub.net.exchange import Exchange, refused
from adohub.net.head import Head, HeadRefused, plain_head, read_head
from adohub.net.listener import Peer
from adohub.net.outbox import RECEIVE_BYTES, Outbox
from adohub.net.strangers import RoomNeeded, Strangers
from adohub.net.tls import Certificate
from adohub.wire.decode import DEFAULT_LIMITS

IDLE_S = 60.0
"""How long a connection may wait for its next request, in seconds."""


class Reception:
    """Receives the requests of all connections. `answer` answers one, raising only BrokenResourceError.

    `place` waits until a new connection's first request may be dealt with, so that a crowd holds nobody up.
    `request_s`: how long a request may take from its first byte to its last, in seconds, and how long a new
    connection may take to begin one. `max_head_bytes`: how long its head may be.
    `certificate`: whoever comes over the network speaks TLS.
    """

    def __init__(
        self,
        answer: Callable[[Exchange], Awaitable[None]],
        place: Callable[[], Awaitable[None]],
        request_s: float,
        metrics: Metrics,
        strangers: Strangers,
        max_head_bytes: int = DEFAULT_LIMITS.max_head_bytes,
        certificate: Certificate | None = None,
    ) -> None:
        self._answer = answer
        self._place = place
        self._request_s = request_s
        self._metrics = metrics
        self._strangers = strangers
        self._max_head_bytes = max_head_bytes
        self._certificate = certificate
        self._waiting: dict[trio.CancelScope, None] = {}
        self._idle: dict[trio.CancelScope, None] = {}
        """Those of `_waiting` that have asked before, in the order in which they began to wait."""
        self._exchanges: dict[Exchange, None] = {}
        self._none_open = trio.Event()
        self.draining = False
        """Whether connections end with what is being answered."""

    def leave(self) -> None:
        """Let no connection wait for another request."""
        self.draining = True
        for scope in self._waiting:
            scope.cancel()
        for exchange in list(self._exchanges):
            if exchange.on_leave is not None:
                exchange.on_leave()

    def make_room(self) -> bool:
        """End the connection that has asked nothing for the longest time; False if there is none.

        Those that have asked before go first, and strangers next: the former know how to come back.
        """
        if not self._idle:
            return self._strangers.make_room()
        longest = next(iter(self._idle))
        del self._idle[longest]
        longest.cancel()
        return True

    async def left(self) -> None:
        """Wait until nothing is being answered."""
        while self._exchanges:
            self._none_open = trio.Event()
            await self._none_open.wait()

    async def upgrade(self, outbox: Outbox, peer: Peer, *, excess: OverLimit | None) -> Head | None:
        """Answer requests until one wants a WebSocket: its head. None if the connection is to be closed."""
        try:
            return await self._receive(outbox, peer, excess)
        except HeadRefused as refusal:
            self._metrics.hit(refusal.limit)
            outbox.send(refused(refusal))
        except trio.TooSlowError:
            self._metrics.hit("handshake_timeout_ms")
        except RoomNeeded:
            self._metrics.hit("max_connections")
        except trio.BrokenResourceError:
            pass
        self._metrics.errors += 1
        return None

    async def _receive(self, outbox: Outbox, peer: Peer, excess: OverLimit | None) -> Head | None:
        def may_stay() -> bool:
            return excess is None and not self.draining

        head, deadline = await self._first_head(outbox, peer)
        while head is not None and not head.is_upgrade:
            exchange = Exchange(outbox, head, peer, deadline=deadline, may_stay=may_stay, excess=excess)
            if not await self._see_through(exchange):
                return None
            data = await self._first_bytes(outbox, 0 if self.draining else IDLE_S, is_idle=True)
            if not data:
                return None
            deadline = trio.current_time() + self._request_s
            head = await self._head(outbox, data, deadline)
        return head

    async def _first_head(self, outbox: Outbox, peer: Peer) -> tuple[Head | None, float]:
        """The first request's head, None at the peer's end, and when that request has to be whole.

        Raises TooSlowError, RoomNeeded.
        """
        begins_by = trio.current_time() + self._request_s
        with trio.CancelScope() as scope:
            self._strangers.add(scope.cancel)
            try:
                if self._certificate is not None and peer.uid is None:
                    await self._secure(outbox, self._certificate, begins_by)
                data = await self._first_bytes(outbox, begins_by - trio.current_time())
                if data is None and not self.draining:
                    raise trio.TooSlowError("nobody connects to say nothing")
                await self._place()
                deadline = trio.current_time() + self._request_s
                return (await self._head(outbox, data, deadline) if data else None), deadline
            finally:
                self._strangers.remove(scope.cancel)
        raise RoomNeeded

    async def _secure(self, outbox: Outbox, certificate: Certificate, done_by: float) -> None:
        """Raises TooSlowError, BrokenResourceError; HeadRefused to who speaks plain HTTP."""
        with trio.fail_at(done_by) as scope:
            self._waiting[scope] = None
            try:
                is_secure = await outbox.secure(certificate)
            finally:
                del self._waiting[scope]
        if not is_secure:
            raise HeadRefused(400, "this port speaks TLS: use https:// or wss://")

    async def _first_bytes(self, outbox: Outbox, patience_s: float, *, is_idle: bool = False) -> bytes | None:
        """What the next request begins with, b"" at the peer's end; None if nothing has come in time.

        A drain ends the time.
        """
        data: bytes | None = None
        with trio.move_on_after(patience_s) as scope:
            self._waiting[scope] = None
            if is_idle:
                self._idle[scope] = None
            try:
                while data is None:  # of what TLS has to read, not all is a request's
                    await outbox.readable()
                    data = outbox.received(RECEIVE_BYTES)
            finally:
                del self._waiting[scope]
                self._idle.pop(scope, None)
        if data is None:  # it may have come just before the wait was ended
            data = outbox.received(RECEIVE_BYTES)
        return data

    async def _head(self, outbox: Outbox, raw: bytes, deadline: float) -> Head | None:
        """The head that begins with `raw`. No checkpoint if it is all there and plain."""
        head = plain_head(raw, self._max_head_bytes)
        if head is not None:
            return head
        with trio.move_on_at(deadline):
            return await read_head(outbox, raw, self._max_head_bytes)
        raise HeadRefused(408, "the request did not come whole in time", limit="handshake_timeout_ms")

    async def _see_through(self, exchange: Exchange) -> bool:
        """Answer; gives whether the connection goes on."""
        self._exchanges[exchange] = None
        try:
            await self._answer(exchange)
            return await exchange.passed_on()
        finally:
            del self._exchanges[exchange]
            if not self._exchanges:
                self._none_open.set()
