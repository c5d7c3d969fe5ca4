"""One WebSocket to the hub, from dialling to the close frame; faults of the network are translated here."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

import orjson
import trio
import trio_websocket
from attrs import define, field
from wsproto.utilities import ProtocolError

from adohub.client.address import Address
from adohub.client.errors import Unreachable
from adohub.client.nursery import flat_nursery
from adohub.errors import ErrorCode, PeerError

DIAL_S = 10.0
"""How long opening the connection may take, in seconds, up to the hub's answer to the upgrade."""

CLOSE_S = 1.0
"""How long a close waits for the hub's close frame, in seconds."""

MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message taken from the hub; a larger one closes the connection with 1009."""

TOO_BIG = 1009
"""The close code for a message that is larger than its receiver allows (RFC 6455, 7.4.1)."""

_REFUSALS: dict[int, ErrorCode] = {401: "UNAUTHORIZED", 403: "FORBIDDEN"}


class LinkLost(Exception):
    """The connection is over. `code` is the close code, if there was a close frame."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(code)


@define(eq=False)
class _Pulse(trio.abc.Stream):
    """A stream that knows since when its reader has been waiting, and that tells when it is over.

    Time counts only while somebody reads: a connection that we ourselves do not read, because a subscriber is
    slow, is never taken for dead.
    """

    stream: trio.abc.Stream
    over: trio.Event = field(factory=trio.Event, init=False)
    waiting_since: float | None = field(default=None, init=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self.waiting_since = trio.current_time()
        received: bytes | bytearray = b""
        try:
            received = await self.stream.receive_some(max_bytes)
        finally:
            self.waiting_since = None
            if not received:
                self.over.set()
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.over.set()
        await self.stream.aclose()


@define(eq=False)
class Link:
    """An open connection. Only one task may send, and only one receive."""

    _socket: trio_websocket.WebSocketConnection
    _pulse: _Pulse

    @property
    def silent_since(self) -> float | None:
        """Since when we have been waiting for the next byte, in trio's time; None while we do not read."""
        return self._pulse.waiting_since

    async def send(self, text: str) -> None:
        """Writes one text frame. Raises LinkLost. Not to be cancelled alone: half a frame ruins the rest."""
        try:
            await self._socket.send_message(text)
        except trio_websocket.ConnectionClosed as closed:
            raise LinkLost(_code(closed)) from None

    async def receive(self) -> str | bytes:
        """The next message. Raises LinkLost, after all that came before the end."""
        try:
            return await self._socket.get_message()
        except trio_websocket.ConnectionClosed as closed:
            raise LinkLost(_code(closed)) from None


async def carry(address: Address, token: str | None, use: Callable[[Link], Awaitable[None]]) -> None:
    """Opens a connection, runs `use` on it, and closes it, which takes at most CLOSE_S, also if cancelled.

    `token` travels as `Authorization: Bearer` in the upgrade. Raises Unreachable if no connection came about,
    and PeerError if the hub refused the credential (401) or this client (403). `use` sees the loss of the
    connection as LinkLost.
    """
    stream = await _dial(address)
    await converse(stream, address, token, use)


async def converse(
    stream: trio.abc.Stream, address: Address, token: str | None, use: Callable[[Link], Awaitable[None]]
) -> None:
    """`carry` over a stream that is already open, and which is closed at the end."""
    pulse = _Pulse(stream)
    try:
        async with flat_nursery() as nursery:
            reader = _Reader(pulse)
            nursery.start_soon(reader.run)
            try:
                socket = await _shake_hands(reader, address, token)
                await _use(socket, pulse, use)
            finally:
                reader.scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


@define(eq=False)
class _Reader:
    """Where trio-websocket's reading task lives, shielded: to see the close it must outlive our cancellation.

    Only `scope.cancel()` ends it, which is why it is not begun by `nursery.start`: cancelled before
    `started`, that would wait for ever.
    """

    pulse: _Pulse
    scope: trio.CancelScope = field(factory=lambda: trio.CancelScope(shield=True), init=False)
    rejection: trio_websocket.ConnectionRejected | None = field(default=None, init=False)
    nursery: trio.Nursery = field(init=False)
    ready: trio.Event = field(factory=trio.Event, init=False)

    async def run(self) -> None:
        try:
            with self.scope:
                async with trio.open_nursery() as self.nursery:
                    self.ready.set()
                    await trio.sleep_forever()
        except* trio_websocket.ConnectionRejected as rejections:
            self.rejection = cast("trio_websocket.ConnectionRejected", rejections.exceptions[0])
        except* (trio_websocket.ConnectionClosed, ProtocolError):
            pass  # a peer that speaks no WebSocket, or stops speaking it: the socket is over, and says so
        finally:
            self.pulse.over.set()


async def _use(
    socket: trio_websocket.WebSocketConnection, pulse: _Pulse, use: Callable[[Link], Awaitable[None]]
) -> None:
    try:
        await use(Link(socket, pulse))
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await socket.aclose()


async def _dial(address: Address) -> trio.abc.Stream:
    try:
        with trio.fail_after(DIAL_S):
            return await _open_stream(address)
    except trio.TooSlowError:
        raise _unreachable(address, "no answer") from None
    except (OSError, trio.BrokenResourceError, ValueError) as fault:
        raise _unreachable(address, _reason(fault)) from fault


async def _open_stream(address: Address) -> trio.abc.Stream:
    if address.unix_socket is not None:
        return await trio.open_unix_socket(address.unix_socket)
    if not address.tls:
        return await trio.open_tcp_stream(address.host, address.port)
    stream = await trio.open_ssl_over_tcp_stream(
        address.host, address.port, https_compatible=True, ssl_context=ssl.create_default_context()
    )
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


def _plainly(resource: str) -> str:
    """`resource`, asking for plain JSON whatever the hub's transformer is."""
    return f"{resource}{'&' if '?' in resource else '?'}transformer=none"


async def _shake_hands(
    reader: _Reader, address: Address, token: str | None
) -> trio_websocket.WebSocketConnection:
    """Upgrades the connection.

    trio-websocket waits for ever for the answer of a peer that hangs up or talks something else, so the end
    of the stream is waited for beside it.
    """
    headers = [(b"Authorization", f"Bearer {token}".encode())] if token else []
    socket: trio_websocket.WebSocketConnection | None = None
    with trio.move_on_after(DIAL_S) as patience:
        async with flat_nursery() as race:
            race.start_soon(_cancel_after, reader.pulse.over, race.cancel_scope)
            await reader.ready.wait()
            socket = await trio_websocket.wrap_client_stream(
                reader.nursery,
                cast("trio.SocketStream", reader.pulse),  # any Stream will do
                address.authority,
                _plainly(address.resource),
                extra_headers=headers,
                max_message_size=MESSAGE_BYTES,
            )
            race.cancel_scope.cancel()
    if socket is not None:
        return socket
    if reader.rejection is not None:
        raise _refusal(address, reader.rejection)
    raise _unreachable(address, "no answer" if patience.cancelled_caught else "it hung up, is it a hub?")


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _refusal(address: Address, rejection: trio_websocket.ConnectionRejected) -> Unreachable | PeerError:
    status, text = rejection.status_code, _refusal_text(rejection.body or b"")
    if status in _REFUSALS:
        return PeerError(_REFUSALS[status], text or f"the hub at {address} refused the connection")
    if status == 503:
        return _unreachable(address, text or "it is full or about to stop, try again later")
    return _unreachable(address, f"it answered HTTP {status}" + (f", {text}" if text else ""))


def _refusal_text(body: bytes) -> str:
    """What a refusal says: the message of a tRPC error, or the first line of a plain text."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode(errors="replace").strip()
        return "" if text.startswith("<") else text.partition("\n")[0][:200]
    match message:
        case {"error": {"message": str(text)}} | {"message": str(text)} | {"error": str(text)}:
            return text
    return ""


def _unreachable(address: Address, why: str) -> Unreachable:
    return Unreachable(f"cannot reach a hub at {address}: {why}")


def _reason(fault: BaseException) -> str:
    """The innermost cause in few words: trio reports a failed dial as one error that groups the attempts'."""
    while True:
        if isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        elif fault.__cause__ is not None:
            fault = fault.__cause__
        else:
            break
    match fault:
        case ssl.SSLCertVerificationError():
            text = fault.verify_message
        case OSError(errno=int(number)) if number > 0 and not isinstance(fault, ssl.SSLError):
            text = os.strerror(number)
        case _:
            text = getattr(fault, "strerror", None) or str(fault)
    return text[:1].lower() + text[1:]


def _code(closed: trio_websocket.ConnectionClosed) -> int | None:
    return closed.reason.code if closed.reason else None
