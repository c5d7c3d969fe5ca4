"""The severing proxy carries bytes as they are, and its cut is a reset: tests build on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from tests.severing import Proxy, severing_proxy


@asynccontextmanager
async def proxied_echo(ended: list[str], allowed: int | None = None) -> AsyncIterator[Proxy]:
    """A proxy before a server that sends back what it gets, and notes in `ended` how each connection did."""

    async def echo(stream: trio.SocketStream) -> None:
        try:
            async for chunk in stream:
                await stream.send_all(chunk)
        except trio.BrokenResourceError:
            ended.append("reset")
        else:
            ended.append("closed")

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, echo, [listener])
            async with severing_proxy(listener.socket.getsockname()[1], lambda: allowed) as proxy:
                yield proxy
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def talking(proxy: Proxy) -> AsyncIterator[trio.SocketStream]:
    """A connection through `proxy` that has been answered."""
    async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
        yield stream


async def test_it_carries_bytes_and_closes_when_both_ends_are_done() -> None:
    ended: list[str] = []
    async with proxied_echo(ended) as proxy, talking(proxy) as stream:
        await stream.send_eof()
        assert await stream.receive_some() == b""
        assert ended == ["closed"]


async def test_a_cut_resets_every_connection_at_both_ends() -> None:
    ended: list[str] = []
    async with proxied_echo(ended) as proxy, talking(proxy) as one, talking(proxy) as other:
        assert proxy.open_connections == 2
        assert proxy.cut() == 2
        assert proxy.open_connections == 0
        for stream in (one, other):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        while len(ended) < 2:
            await trio.lowlevel.checkpoint()
        assert ended == ["reset", "reset"]


async def test_it_takes_new_connections_after_a_cut() -> None:
    async with proxied_echo([]) as proxy:
        async with talking(proxy):
            proxy.cut()
        async with talking(proxy):
            assert proxy.connections == 2
            assert proxy.cut() == 1


async def test_without_a_target_a_connection_is_closed_at_once() -> None:
    with trio.fail_after(10):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        await listener.aclose()
        async with severing_proxy(port) as proxy:
            async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
                assert await stream.receive_some() == b""
            assert proxy.open_connections == 0


async def heard_to_the_end(stream: trio.SocketStream) -> bytes:
    heard = b""
    with suppress(trio.BrokenResourceError):
        while chunk := await stream.receive_some():
            heard += chunk
    return heard


@pytest.mark.parametrize(("allowed", "echoed"), [(0, b""), (3, b""), (5, b""), (7, b"he"), (9, b"hell")])
async def test_what_has_carried_all_that_it_may_is_cut_at_that_very_byte(allowed: int, echoed: bytes) -> None:
    ended: list[str] = []
    async with proxied_echo(ended, allowed) as proxy:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(b"hello")
            assert await heard_to_the_end(stream) == echoed
        await trio.testing.wait_all_tasks_blocked()
        assert (proxy.cuts, proxy.open_connections, ended) == (1, 0, ["reset"])
