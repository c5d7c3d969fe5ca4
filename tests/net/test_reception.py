"""Connections stay between requests, but none of them for ever, and none when the hub ends."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from adohub.config import Config, Server
from adohub.net import reception as module
from adohub.net.exchange import Exchange
from tests.net import raw
from tests.net.answering import KEEP_ALIVE, answering, hello, post
from tests.net.strangers import Patience, strangers
from tests.running import FREE_PORT, gates_made, open_peer, request, running_hub, until

HASTY = Config(server=Server(port=0, handshake_timeout_ms=200))


async def test_a_websocket_may_be_opened_at_any_request() -> None:
    async with running_hub() as hub, raw.asking(hub.port) as client:
        for _ in range(2):
            assert (await client.ask(raw.head("/healthz"))).status == 200
        await client.stream.send_all(raw.upgrade())
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await client.stream.send_all(raw.frame(raw.TEXT, b"PING"))
        assert await client.stream.receive_some() == b"\x81\x04PONG"


async def test_a_connection_that_asks_nothing_more_is_closed_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.1)
    async with answering(hello) as (client, _):
        await client.ask(KEEP_ALIVE)
        with trio.fail_after(5):
            assert await client.is_over()


@pytest.mark.parametrize(
    "begun", [b"G", post(b"body")[:-1], post(b"body")[:-4]], ids=["head", "body", "no body"]
)
async def test_every_request_has_to_come_whole_in_time(begun: bytes) -> None:
    async with running_hub(HASTY, strangers()) as hub, raw.asking(hub.port) as client:
        assert (await client.ask(raw.head("/healthz"))).status == 200
        begun = begun.replace(b"POST /", b"POST /echo")
        response = await client.ask(begun)
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert await client.is_over()


async def test_a_request_that_cannot_be_read_ends_the_connection_at_any_time() -> None:
    async with answering(hello) as (client, _):
        await client.ask(KEEP_ALIVE)
        response = await client.ask(b"what\r\n\r\n")
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert await client.is_over()


async def test_who_leaves_in_the_middle_of_a_head_is_not_answered() -> None:
    async with answering(hello) as (client, _):
        await client.stream.send_all(raw.head()[:-3])
        await client.stream.send_eof()
        assert await client.is_over()


# ── a drain ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_drain_does_not_wait_for_connections_that_ask_nothing() -> None:
    with gates_made() as gates:
        async with running_hub() as hub:
            async with raw.asking(hub.port) as client, raw.asking(hub.port) as silent:
                await client.ask(raw.head("/healthz"))
                await until(lambda: gates[0].connections == 2)
                hub.daemon.stop()
                with trio.fail_after(5):
                    assert await client.is_over()
                    assert await silent.is_over()
                    await hub.ended.wait()


async def test_a_drain_waits_for_what_is_being_answered_which_is_the_last_there() -> None:
    let_go = trio.Event()

    async def answer(exchange: Exchange) -> None:
        await let_go.wait()
        await hello(exchange)

    async with answering(answer) as (client, reception):
        await client.stream.send_all(raw.head())
        await trio.testing.wait_all_tasks_blocked(0.02)
        reception.leave()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reception.left)
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert nursery.child_tasks
            let_go.set()
        assert (await client.response()).headers["connection"] == "close"
        assert await client.is_over()
        await reception.left()


async def test_an_answer_that_goes_on_and_on_is_told_of_the_drain() -> None:
    async def answer(exchange: Exchange) -> None:
        over = trio.Event()
        exchange.on_leave = over.set
        exchange.begin_endless(200, "text/event-stream")
        await over.wait()
        exchange.outbox.send(b"bye")

    async with answering(answer) as (client, reception):
        await client.stream.send_all(raw.head())
        await trio.testing.wait_all_tasks_blocked(0.02)
        reception.leave()
        assert (await raw.read_to_end(client.stream)).endswith(b"\r\n\r\nbye")
        await reception.left()


async def test_a_request_that_has_come_when_the_drain_begins_is_answered() -> None:
    async with answering(hello) as (client, reception):
        await client.ask(KEEP_ALIVE)
        await trio.testing.wait_all_tasks_blocked(0.02)
        os.write(client.stream.socket.fileno(), raw.head())  # so that nobody runs in between
        reception.leave()
        assert (await client.response()).headers["connection"] == "close"
        assert await client.is_over()


async def test_while_draining_who_comes_is_answered_once() -> None:
    patience = Patience()
    async with running_hub(FREE_PORT, strangers(patience)) as hub, open_peer(hub.url) as busy:
        await busy.tell(request(1, "query", "test.wait"))
        await until(lambda: patience.begun)
        hub.daemon.stop()
        await trio.testing.wait_all_tasks_blocked()
        async with raw.asking(hub.port) as client:
            response = await client.ask(raw.head("/readyz"))
            assert (response.status, response.headers["connection"]) == (503, "close")
            assert await client.is_over()
        patience.let_go.set()
