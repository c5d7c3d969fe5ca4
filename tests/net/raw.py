"""HTTP requests and WebSocket frames as bytes, for peers that do what no library would."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import h11
import trio
from attrs import define, frozen

UPGRADE: Mapping[str, str] = {
    "Host": "hub",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
"""The headers of a handshake that is in order."""

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def head(target: str = "/", headers: Mapping[str, str | None] | None = None, *, method: str = "GET") -> bytes:
    """A request's head. A header that is None is left out."""
    lines = [f"{name}: {value}" for name, value in (headers or {"Host": "hub"}).items() if value is not None]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def upgrade(target: str = "/", **changed: str | None) -> bytes:
    """A WebSocket handshake; `changed` headers, with _ for -, replace those that are in order."""
    return head(target, {**UPGRADE, **{name.replace("_", "-"): value for name, value in changed.items()}})


def frame(opcode: int, payload: bytes, *, final: bool = True, masked: bool = True) -> bytes:
    """One RFC 6455 frame. Its mask is all zeros, so the payload can be read in it."""
    first, mask = opcode | (0x80 if final else 0), 0x80 if masked else 0
    if len(payload) < 126:
        prefix = bytes((first, mask | len(payload)))
    elif len(payload) < 65536:
        prefix = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        prefix = struct.pack("!BBQ", first, mask | 127, len(payload))
    return prefix + (bytes(4) if masked else b"") + payload


def text(message: object) -> bytes:
    """`message` as JSON in a text frame."""
    return frame(TEXT, json.dumps(message).encode())


@frozen
class Response:
    """An HTTP response whose connection has ended. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def connected(port: int) -> trio.SocketStream:
    """A connection on which nothing has been said."""
    return await trio.open_tcp_stream("127.0.0.1", port)


async def exchange(port: int, request: bytes) -> Response | None:
    """Send `request`, and nothing after it, on a connection of its own: what came back, None for nothing."""
    async with await connected(port) as stream:
        await stream.send_all(request)
        await end(stream)
        return response(await read_to_end(stream))


async def end(stream: trio.SocketStream) -> None:
    """Tell the hub that nothing more will be sent, if it still listens."""
    with suppress(trio.BrokenResourceError):
        await stream.send_eof()


@define
class Asking:
    """A connection on which one request is sent after another; h11 reads the responses."""

    stream: trio.SocketStream
    _parser: h11.Connection | None = None

    async def ask(self, request: bytes, method: str = "GET") -> Response:
        """Send `request`: the response to it."""
        await self.stream.send_all(request)
        return await self.response(method)

    async def response(self, method: str = "GET") -> Response:
        """The next response, to a request by `method`. Informational ones are passed over."""
        if self._parser is None:
            self._parser = h11.Connection(h11.CLIENT)
        self._parser.send(h11.Request(method=method, target="/", headers=[("Host", "hub")]))
        self._parser.send(h11.EndOfMessage())
        head: h11.Response | None = None
        body = bytearray()
        while not isinstance(event := await self._event(self._parser), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
        assert head is not None
        if self._parser.our_state is h11.DONE and self._parser.their_state is h11.DONE:
            self._parser.start_next_cycle()
        pairs = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        assert len(dict(pairs)) == len(pairs), "a header is there twice"
        return Response(head.status_code, dict(pairs), bytes(body))

    async def _event(self, parser: h11.Connection) -> object:
        while (event := parser.next_event()) is h11.NEED_DATA:
            parser.receive_data(await self.stream.receive_some())
        assert not isinstance(event, h11.ConnectionClosed), "the hub closed instead"
        return event

    async def is_over(self) -> bool:
        """Whether the hub closes the connection now, without another word."""
        return await read_to_end(self.stream) == b""


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Asking]:
    """A connection for one request after another."""
    async with await connected(port) as stream:
        yield Asking(stream)


def response(received: bytes) -> Response | None:
    """`received` as a Response."""
    if not received:
        return None
    first, _, body = received.partition(b"\r\n\r\n")
    status, *lines = first.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Response(int(status.split(" ")[1]), headers, body)


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    """All that comes until the other side ends; a reset counts as an end."""
    received = bytearray()
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        pass
    return bytes(received)


async def upgraded(port: int) -> trio.SocketStream:
    """A connection on which the handshake is done."""
    stream = await connected(port)
    await stream.send_all(upgrade())
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += await stream.receive_some()
    assert received.startswith(b"HTTP/1.1 101 ")
    return stream


def reset(stream: trio.SocketStream) -> None:
    """End the connection as a crashed machine does: no goodbye, what is unread is lost."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()
