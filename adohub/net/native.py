"""`[server] websocket = "native"`: a session's WebSocket without a task, a channel or a lock of its own.

The session's one task reads the socket through here, and gets all messages of a read at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import suppress

import trio

from adohub.errors import Goodbye
from adohub.net.host import Converse, MessageSizes, PeerGone
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


def host_natively(outbox: Outbox, key: str, sizes: MessageSizes, converse: Converse) -> Awaitable[None]:
    """Run `converse` on the WebSocket that the checked upgrade with this `key` asks for on `outbox`."""
    outbox.send(accept_response(key))
    return converse(NativeHost(outbox, sizes))


class NativeHost:
    """One open WebSocket (`adohub.net.host.Host`); its handshake has been answered."""

    __slots__ = ("_ending", "_is_drained", "_last_words", "_outbox", "_parser")

    def __init__(self, outbox: Outbox, sizes: MessageSizes) -> None:
        self._outbox = outbox
        self._parser = Parser(sizes.max_bytes, sizes.max_fragments)
        self._is_drained = True
        """Whether the last read took all that there was: to try again at once would be a call for nothing."""
        self._ending: Exception | None = None
        """What the next `receive` raises, once what came before it has been handed out."""
        self._last_words = b""
        """The answer to the peer's close frame, which goes out after those to what came before it."""

    async def receive(self) -> Sequence[str | bytes]:
        """See `Host`. An idle connection waits here, so it calls nothing but trio."""
        while self._ending is None:
            if self._outbox.is_crowded:  # or a peer that only pings would make pongs pile up
                await self._outbox.room()
            try:
                await self._more()
            except trio.ClosedResourceError as error:
                raise PeerGone(without_a_word=False) from error  # we have closed it
            messages = self._read()
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
        with suppress(trio.ClosedResourceError):
            while self._ending is None:
                await self._more()
                self._read()

    def _more(self) -> Awaitable[None]:
        """Wait until there is something to read; if there may well be, only let others run.

        Gives the awaitable itself: a coroutine around it would be half a kilobyte for each idle connection.
        """
        if self._is_drained:
            return self._outbox.readable()
        return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - see above

    def _read(self) -> list[str | bytes]:
        """The messages that have come by now; notes what the next `receive` raises if this was the end."""
        try:
            data = self._outbox.received(READ_BYTES)
        except trio.BrokenResourceError:
            data = b""
        except trio.ClosedResourceError:
            self._ending = PeerGone(without_a_word=False)
            return []
        self._is_drained = data is None or len(data) < READ_BYTES
        if data is None:
            return []
        if not data:
            self._ending = PeerGone(without_a_word=True)
            return []
        try:
            return self._taken(self._parser.receive(data))
        except ProtocolViolation as violation:
            self._ending = Goodbye(violation.code, violation.reason, limit=violation.limit)
            return self._taken(violation.before)

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
                self._ending = PeerGone(without_a_word=False)
        return messages
