"""`[server] websocket = "native"`: a session's WebSocket without a task, a channel or a lock of its own.

The session's one task reads the socket through here, and gets all messages of a read at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from adohub.errors import Goodbye
from adohub.net.head import Head
from adohub.net.host import Converse, PeerGone
from adohub.net.outbox import Outbox
from adohub.wire.frame import NO_STATUS, close_frame, pong_frame
from adohub.wire.websocket import (
    CloseReceived,
    Incoming,
    Parser,
    PingReceived,
    ProtocolViolation,
    accept_response,
)

READ_BYTES = 16_384
"""How much is read at a time: no other task waits for longer than these take to be parsed."""


async def host_natively(outbox: Outbox, head: Head, max_message_bytes: int, converse: Converse) -> None:
    """Run `converse` on the WebSocket that `head`, a checked upgrade, asks for on `outbox`."""
    outbox.send(accept_response(head.headers["sec-websocket-key"]))
    await converse(NativeHost(outbox, max_message_bytes))


class NativeHost:
    """One open WebSocket (`adohub.net.host.Host`); its handshake has been answered."""

    __slots__ = ("_ending", "_last_words", "_outbox", "_parser")

    def __init__(self, outbox: Outbox, max_message_bytes: int) -> None:
        self._outbox = outbox
        self._parser = Parser(max_message_bytes)
        self._ending: Exception | None = None
        """What the next `receive` raises, once what came before it has been handed out."""
        self._last_words = b""
        """The answer to the peer's close frame, which goes out after those to what came before it."""

    async def receive(self) -> Sequence[str | bytes]:
        """See `Host`."""
        while self._ending is None:
            await self._outbox.room()  # or a peer that only pings would make pongs pile up
            messages = self._taken(await self._read())
            if messages:
                return messages
        if self._last_words:
            self._outbox.send(self._last_words)
            self._outbox.seal()
        raise self._ending

    async def close(self, code: int, reason: str) -> None:
        """See `Host`."""
        self._outbox.send(close_frame(code, reason))
        self._outbox.seal()
        try:
            while self._ending is None:
                self._taken(await self._read())
        except PeerGone:
            return

    async def _read(self) -> Sequence[Incoming]:
        try:
            data = await self._outbox.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerGone from error
        if not data:
            raise PeerGone
        try:
            return self._parser.receive(data)
        except ProtocolViolation as violation:
            self._ending = Goodbye(violation.code, violation.reason)
            return violation.before

    def _taken(self, received: Sequence[Incoming]) -> list[str | bytes]:
        """The messages among `received`; control frames are dealt with, in their place."""
        messages: list[str | bytes] = []
        for item in received:
            if isinstance(item, str | bytes):
                messages.append(item)
            elif isinstance(item, PingReceived):
                self._outbox.send(pong_frame(item.payload))
            elif isinstance(item, CloseReceived):
                self._last_words = close_frame(NO_STATUS if item.code is None else item.code)
                self._ending = PeerGone()
        return messages
