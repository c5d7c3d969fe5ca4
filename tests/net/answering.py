"""A connection whose requests get an answer that is written for the test, with no hub behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from adohub.errors import OverLimit
from adohub.metrics import Metrics
from adohub.net.exchange import Exchange
from adohub.net.head import HeadRefused
from adohub.net.listener import Peer
from adohub.net.outbox import Outbox
from adohub.net.reception import Reception
from adohub.net.strangers import Strangers
from tests.net import raw
from tests.net.test_outbox import connected_sockets

Answer = Callable[[Exchange], Awaitable[None]]

FULL = OverLimit("max_connections", "SERVICE_UNAVAILABLE", "the hub has as many connections as it may")

REQUEST_S = 5.0


@asynccontextmanager
async def answering(
    answer: Answer, *, limit: int = 100_000, is_excess: bool = False
) -> AsyncIterator[tuple[raw.Asking, Reception]]:
    """A connection whose requests get `answer`; when the block is left, it ends."""

    async def refusing(exchange: Exchange) -> None:
        try:
            await answer(exchange)
        except HeadRefused as refusal:
            exchange.refuse(refusal)

    reception = Reception(refusing, trio.lowlevel.checkpoint, REQUEST_S, Metrics(), Strangers())
    ours, theirs = connected_sockets()

    async def serve() -> None:
        async with Outbox(ours, nursery, limit=limit) as outbox:
            await reception.upgrade(outbox, Peer("test"), excess=FULL if is_excess else None)

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with trio.SocketStream(trio.socket.from_stdlib_socket(theirs)) as stream:
                yield raw.Asking(stream), reception
            nursery.cancel_scope.cancel()


async def hello(exchange: Exchange) -> None:
    exchange.respond(200, b"hello")


async def echo(exchange: Exchange) -> None:
    exchange.respond(200, await exchange.body(1000))


async def count(exchange: Exchange) -> None:
    exchange.begin(200, "text/csv")
    for number in range(3):
        await exchange.write(b"%d," % number)
    await exchange.write(b"")
    exchange.end()


def post(body: bytes, **headers: str | None) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.head("/", {"Host": "hub", "Content-Length": str(len(body)), **named}, method="POST") + body


def chunked(*chunks: bytes) -> bytes:
    head = raw.head("/", {"Host": "hub", "Transfer-Encoding": "chunked"}, method="POST")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def as_1_0(request: bytes) -> bytes:
    return request.replace(b"HTTP/1.1", b"HTTP/1.0", 1)


KEEP_ALIVE = raw.head("/", {"Host": "hub", "Connection": "keep-alive"})
