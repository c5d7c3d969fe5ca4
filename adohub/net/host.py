"""Who does RFC 6455 for a session: handshake, parsing, control frames, closing.

A host reads through the outbox and writes its own frames through it; data frames go to the outbox beside
it, ready made. The session needs nothing else of it than this interface.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import trio
import trio_websocket
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError

from adohub.errors import Goodbye
from adohub.net.outbox import Outbox
from adohub.net.upgrade import plain_upgrade
from adohub.wire.frame import NO_CLOSE, NO_STATUS, clipped_reason
from adohub.wire.websocket import CLOSE_TOO_BIG


class PeerGone(Exception):
    """The WebSocket is over: closed by the peer, or its connection lost, `without_a_word`."""

    def __init__(self, *, without_a_word: bool) -> None:
        self.without_a_word = without_a_word
        super().__init__()


class MessageSizes(NamedTuple):
    """How long a message may be, and in how many frames it may come."""

    max_bytes: int
    max_fragments: int


class Host(Protocol):
    """One open WebSocket."""

    async def receive(self) -> Sequence[str | bytes]:
        """The next messages, at least one. Raises PeerGone, or Goodbye for what no peer may send."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye with this close code and wait for the answer. The caller bounds the wait."""
        ...


class TrioWebsocketHost:
    """`[server] websocket = "trio-websocket"`: the reference host.

    trio-websocket measures text messages in characters, so bytes are counted here once more. In how many
    frames a message has come it does not tell.
    """

    def __init__(self, websocket: trio_websocket.WebSocketConnection, max_message_bytes: int) -> None:
        self._websocket = websocket
        self._max_message_bytes = max_message_bytes

    async def receive(self) -> Sequence[str | bytes]:
        """See `Host`."""
        try:
            message = await self._websocket.get_message()
        except trio_websocket.ConnectionClosed as error:
            raise self._ending(error.reason) from error
        if isinstance(message, str) and self._is_too_long(message):
            raise self._too_big()
        return (message,)

    def _ending(self, reason: trio_websocket.CloseReason | None) -> Exception:
        """What has ended it. Only we say that something is too big: nothing that we send is ever so."""
        if reason is not None and reason.code == CLOSE_TOO_BIG:
            return self._too_big()
        return PeerGone(without_a_word=reason is None or reason.code == NO_CLOSE)

    def _too_big(self) -> Goodbye:
        reason = f"messages may have {self._max_message_bytes} bytes"
        return Goodbye(CLOSE_TOO_BIG, reason, limit="max_message_bytes")

    def _is_too_long(self, message: str) -> bool:
        return 4 * len(message) > self._max_message_bytes and len(message.encode()) > self._max_message_bytes

    async def close(self, code: int, reason: str) -> None:
        """See `Host`."""
        await self._websocket.aclose(
            CloseReason(code) if code == NO_STATUS else code, clipped_reason(reason) or None
        )


Converse = Callable[[Host], Awaitable[None]]
"""What is done with an open WebSocket; when it returns, the WebSocket is over."""


async def host_by_trio_websocket(outbox: Outbox, key: str, sizes: MessageSizes, converse: Converse) -> None:
    """Run `converse` on the WebSocket that the checked upgrade with this `key` asks for on `outbox`.

    trio-websocket's reader raises when the peer vanishes during the handshake, or speaks out of turn once a
    close is under way. Either is one more way for this WebSocket to be over, so `converse` is cancelled.
    """
    outbox.unread(plain_upgrade(key))
    try:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(
                nursery, outbox, max_message_size=sizes.max_bytes, receive_buffer_size=None
            )
            await converse(TrioWebsocketHost(await request.accept(), sizes.max_bytes))
            nursery.cancel_scope.cancel()
    except* (trio_websocket.ConnectionClosed, ProtocolError):
        pass
