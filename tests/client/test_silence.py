"""How long a silent hub is believed in, in virtual time, over streams in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import repeat

import pytest
import trio
import trio.testing
import trio_websocket

from adohub.client import Client
from adohub.client.address import Address
from adohub.client.link import Link, converse
from adohub.client.nursery import flat_nursery
from adohub.client.session import PONG_WAIT_S, QUIET_S, open_client


@pytest.fixture
def anyio_backend() -> object:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


Play = Callable[[trio_websocket.WebSocketConnection], Awaitable[None]]


@asynccontextmanager
async def client_of(play: Play) -> AsyncIterator[tuple[Client, list[float]]]:
    """A client whose every connection is played by `play`; the list has the time of each."""
    times: list[float] = []

    async def serve(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as sockets:
            request = await trio_websocket.wrap_server_stream(sockets, stream)
            socket = await request.accept()
            try:
                await play(socket)
            except trio_websocket.ConnectionClosed:
                await stream.aclose()

    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:

            async def seek(use: Callable[[Link], Awaitable[None]]) -> None:
                ours, theirs = trio.testing.memory_stream_pair()
                times.append(trio.current_time())
                nursery.start_soon(serve, theirs)
                await converse(ours, Address("memory"), None, use)

            async with open_client(seek, on_state=None, backoff=lambda: repeat(0.0)) as client:
                yield client, times
            nursery.cancel_scope.cancel()


async def test_a_hub_that_does_not_answer_a_ping_is_left() -> None:
    heard: list[str | bytes] = []

    async def deaf(socket: trio_websocket.WebSocketConnection) -> None:
        while True:
            heard.append(await socket.get_message())

    async with client_of(deaf) as (_, times):
        begun = trio.current_time()
        await trio.sleep(QUIET_S + PONG_WAIT_S + 3)
    assert heard == ["PING"]
    assert len(times) == 2
    assert times[1] - begun == pytest.approx(QUIET_S + PONG_WAIT_S)


async def test_a_hub_that_answers_is_kept() -> None:
    pings: list[float] = []

    async def patient(socket: trio_websocket.WebSocketConnection) -> None:
        while True:
            assert await socket.get_message() == "PING"
            pings.append(trio.current_time())
            await trio.sleep(PONG_WAIT_S - 1)
            await socket.send_message("PONG")

    async with client_of(patient) as (_, times):
        await trio.sleep(10 * QUIET_S)
    assert len(times) == 1
    assert len(pings) > 5


async def test_any_inbound_byte_counts_as_life() -> None:
    heard: list[str | bytes] = []

    async def ping_frames(socket: trio_websocket.WebSocketConnection) -> None:
        async with flat_nursery() as nursery:

            async def listen() -> None:
                while True:
                    heard.append(await socket.get_message())

            nursery.start_soon(listen)
            while True:
                await trio.sleep(QUIET_S - 1)
                await socket.ping()

    async with client_of(ping_frames) as (_, times):
        await trio.sleep(10 * QUIET_S)
    assert heard == []
    assert len(times) == 1


async def test_a_hub_that_we_do_not_read_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adohub.client.deliveries.BUFFER_MESSAGES", 1)
    total = 20

    async def talk(socket: trio_websocket.WebSocketConnection) -> None:
        await socket.get_message()
        for number in range(total):
            await socket.send_message(f'{{"id":1,"result":{{"type":"data","id":"e","data":{number}}}}}')
        await socket.send_message('{"id":1,"result":{"type":"stopped"}}')
        await socket.get_message()

    async with client_of(talk) as (client, times):
        async with client.subscribe("stream.onX") as deliveries:
            await trio.sleep(10 * QUIET_S)
            assert [delivery.data async for delivery in deliveries] == list(range(total))
    assert len(times) == 1
