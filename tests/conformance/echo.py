"""A WebSocket that says back what it hears, on a hub's own outbox and host: what the Autobahn suite expects.

The hub speaks tRPC, so the suite cannot be run against it; against the part of it that does RFC 6455, it can.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from adohub.errors import Goodbye
from adohub.net.head import read_head
from adohub.net.host import Converse, Host, MessageSizes, PeerGone, host_by_trio_websocket
from adohub.net.native import host_natively
from adohub.net.outbox import Outbox
from adohub.net.upgrade import check_upgrade, websocket_key
from adohub.wire.frame import binary_frame, text_frame

HOSTS = {"native": host_natively, "trio-websocket": host_by_trio_websocket}
"""`[server] websocket`."""

SIZES = MessageSizes(max_bytes=2**25, max_fragments=2**20)
"""The suite's largest message has 16 MiB, and one of them comes in 64 KiB of fragments."""

CLOSE_HANDSHAKE_S = 1.0
"""How long a peer may take to answer a close frame, in seconds: as in a session."""


def saying_back(outbox: Outbox) -> Converse:
    """What an echo does with an open WebSocket; it ends it as a session does."""

    async def converse(host: Host) -> None:
        try:
            while True:
                for message in await host.receive():
                    outbox.send(framed(message))
                await outbox.room()
        except PeerGone:
            return
        except Goodbye as goodbye:
            with trio.move_on_after(CLOSE_HANDSHAKE_S, shield=True):
                await host.close(goodbye.code, goodbye.reason)

    return converse


def framed(message: str | bytes) -> bytes:
    return text_frame(message.encode()) if isinstance(message, str) else binary_frame(message)


@asynccontextmanager
async def echoing(host: str) -> AsyncIterator[int]:
    """An echo on the loopback, at the port that is given; it ends with the block."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)

    async def serve(connected: socket.socket) -> None:
        async with Outbox(connected, nursery, limit=2**20) as outbox:
            head = await read_head(outbox, b"")
            if head is not None:
                check_upgrade(head)
                await HOSTS[host](outbox, websocket_key(head), SIZES, saying_back(outbox))

    async def accept() -> None:
        while True:
            await trio.lowlevel.wait_readable(listening)
            connected, _ = listening.accept()
            connected.setblocking(False)
            nursery.start_soon(serve, connected)

    with listening:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            yield listening.getsockname()[1]
            nursery.cancel_scope.cancel()
