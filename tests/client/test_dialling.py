"""The first connection: whom the client reaches, and what it says when there is nobody."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
import trio_websocket

from adohub.client import BadAddress, Unreachable
from adohub.client.nursery import flat_nursery
from adohub.errors import PeerError
from tests.client.scripted import Peer, Reject, connect, scripted_hub, serve_health


async def test_a_hub_that_is_not_there_is_told_in_one_line() -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unreachable) as fault:
            async with connect(f"ws://127.0.0.1:{port}"):
                pass
    assert str(fault.value) == f"cannot reach a hub at ws://127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (401, b'{"error":{"message":"unknown token","code":-32001}}', "UNAUTHORIZED", "unknown token"),
        (401, b"unknown token\n", "UNAUTHORIZED", "unknown token"),
        (403, b"origin not allowed", "FORBIDDEN", "origin not allowed"),
    ],
)
async def test_a_refused_credential_is_raised_in_the_hubs_words(
    status: int, body: bytes, code: str, message: str
) -> None:
    async with scripted_hub(Reject(status, body)) as hub:
        with pytest.raises(PeerError, match=message) as refusal:
            async with connect(hub.url, token="x"):
                pass
    assert refusal.value.code == code


@pytest.mark.parametrize(("status", "text"), [(503, "it is full or about to stop"), (404, "HTTP 404")])
async def test_a_first_connection_that_is_turned_away_is_unreachable(status: int, text: str) -> None:
    async with scripted_hub(Reject(status)) as hub:
        with pytest.raises(Unreachable, match=text):
            async with connect(hub.url):
                pass


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_peer_that_is_no_hub_is_unreachable(greeting: bytes) -> None:
    async def greet(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(greeting)
            await stream.receive_some()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            with pytest.raises(Unreachable):
                async with connect(f"127.0.0.1:{port}"):
                    pass
            nursery.cancel_scope.cancel()


async def test_a_unix_socket_is_dialled(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sock")
    with trio.socket.socket(trio.socket.AF_UNIX) as socket:
        await socket.bind(path)
        socket.listen()
        listener = trio.SocketListener(socket)

        async def accept(stream: trio.SocketStream) -> None:
            with suppress(trio_websocket.ConnectionClosed):
                async with flat_nursery() as nursery:
                    request = await trio_websocket.wrap_server_stream(nursery, stream)
                    await serve_health(Peer(await request.accept(), {}, request.path))

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, accept, [listener])
                async with connect(f"unix://{path}") as client:
                    assert await client.query("hub.health") == {"status": "ok"}
                nursery.cancel_scope.cancel()


async def test_a_bad_address_is_named() -> None:
    with pytest.raises(BadAddress, match='unknown scheme "ftp"'):
        async with connect("ftp://hub"):
            pass
