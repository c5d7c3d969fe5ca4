"""The client against a scripted hub on real sockets: what survives a lost connection, and what does not."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

import adohub.client
from adohub.client import BadAddress, Client, ConnectionLost, Delivery, State, Unreachable
from adohub.client.nursery import flat_nursery
from adohub.errors import PeerError
from tests.client.scripted import Peer, Reject, scripted_hub


def connect(url: str, **options: Any) -> Any:
    """A client that reconnects without waiting."""
    return adohub.client.connect(url, backoff=lambda: repeat(0.0), **options)


async def serve_health(peer: Peer) -> None:
    while True:
        await peer.answer(await peer.read(), {"status": "ok"})


async def test_a_query_is_answered() -> None:
    seen: list[object] = []

    async def script(peer: Peer) -> None:
        seen.append((peer.path, request := await peer.read()))
        await peer.answer(request, {"status": "ok"})
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client:
        assert await client.query("hub.health") == {"status": "ok"}
    assert seen == [("/trpc", {"id": 1, "method": "query", "params": {"path": "hub.health"}})]


async def test_answers_find_their_calls_in_any_order() -> None:
    async def script(peer: Peer) -> None:
        first, second = await peer.read(), await peer.read()
        await peer.answer(second, second["params"]["input"])
        await peer.answer(first, first["params"]["input"])
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client, trio.open_nursery() as nursery:

        async def echo(word: str) -> None:
            assert await client.query("echo", word) == word

        nursery.start_soon(echo, "a")
        nursery.start_soon(echo, "b")


async def test_the_token_travels_in_the_upgrade_and_the_path_as_given() -> None:
    seen: list[tuple[str, str]] = []

    async def script(peer: Peer) -> None:
        seen.append((peer.headers["authorization"], peer.path))
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(f"{hub.url}/hub?x=1", token="secret\n"):
        pass
    assert seen == [("Bearer secret", "/hub?x=1")]


async def test_a_refusal_is_raised_with_the_hubs_code_and_words() -> None:
    async def script(peer: Peer) -> None:
        await peer.fail(await peer.read(), "BAD_REQUEST", "progress: expected number")
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client:
        with pytest.raises(PeerError, match="progress: expected number") as refusal:
            await client.publish("task.progress", {})
    assert refusal.value.code == "BAD_REQUEST"


async def test_a_subscription_delivers_and_ends_when_stopped() -> None:
    async def script(peer: Peer) -> None:
        request = await peer.read()
        await peer.start(request)
        await peer.event(request, "e1", {"n": 1})
        await peer.event(request, "e2", {"n": 2})
        await peer.stop(request)
        await peer.until_closed()

    async with (
        scripted_hub(script) as hub,
        connect(hub.url) as client,
        client.subscribe("stream.onX", {"taskId": "t"}) as deliveries,
    ):
        got = [delivery async for delivery in deliveries]
    assert got == [Delivery("e1", {"n": 1}), Delivery("e2", {"n": 2})]


async def test_an_error_ends_only_its_subscription_after_what_came_before() -> None:
    async def script(peer: Peer) -> None:
        request = await peer.read()
        await peer.event(request, "e1", 1)
        await peer.fail(request, "PRECONDITION_FAILED", "gone")
        await serve_health(peer)

    async with (
        scripted_hub(script) as hub,
        connect(hub.url) as client,
        client.subscribe("stream.onX") as deliveries,
    ):
        assert (await anext(deliveries)).data == 1
        with pytest.raises(PeerError, match="gone"):
            await anext(deliveries)
        assert await client.query("hub.health") == {"status": "ok"}


async def test_a_subscription_resumes_after_the_last_event_under_the_same_id() -> None:
    requests: list[dict[str, Any]] = []

    async def cut_after_two(peer: Peer) -> None:
        requests.append(request := await peer.read())
        await peer.start(request)
        await peer.event(request, "e1", 1)
        await peer.event(request, "e2", 2)

    async def finish(peer: Peer) -> None:
        requests.append(request := await peer.read())
        await peer.start(request)
        await peer.event(request, "e3", 3)
        await peer.stop(request)
        await peer.until_closed()

    async with (
        scripted_hub(cut_after_two, finish) as hub,
        connect(hub.url) as client,
        client.subscribe("stream.onX", last_event_id="e0") as deliveries,
    ):
        assert [delivery.data async for delivery in deliveries] == [1, 2, 3]
    assert [request["params"].get("lastEventId") for request in requests] == ["e0", "e2"]
    assert requests[0]["id"] == requests[1]["id"]


async def test_a_publish_is_sent_again_under_the_same_key() -> None:
    keys: list[str] = []

    async def swallow(peer: Peer) -> None:
        keys.append((await peer.read())["params"]["input"]["idempotencyKey"])

    async def take(peer: Peer) -> None:
        request = await peer.read()
        keys.append(request["params"]["input"]["idempotencyKey"])
        await peer.answer(request, {"id": "e1", "timestamp": "now"})
        await peer.until_closed()

    async with scripted_hub(swallow, swallow, take) as hub, connect(hub.url) as client:
        receipt = await client.publish("a.b", {"x": 1})
    assert (receipt.id, receipt.timestamp) == ("e1", "now")
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_publish_many_gives_each_event_a_key_of_its_own_and_keeps_given_ones() -> None:
    sent: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        request = await peer.read()
        sent.extend(request["params"]["input"]["events"])
        await peer.answer(request, {"ids": ["e1", "e2", "e3"]})
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client:
        event = {"topic": "a.b", "payload": {}}
        assert await client.publish_many([event, event, {**event, "idempotencyKey": "mine"}]) == [
            "e1",
            "e2",
            "e3",
        ]
    assert sent[2]["idempotencyKey"] == "mine"
    assert len({event["idempotencyKey"] for event in sent}) == 3


@pytest.mark.parametrize("kind", ["query", "mutate"])
async def test_a_call_in_flight_is_lost_with_its_connection_and_not_sent_again(kind: str) -> None:
    async def swallow(peer: Peer) -> None:
        await peer.read()

    async with scripted_hub(swallow, serve_health) as hub, connect(hub.url) as client:
        with pytest.raises(ConnectionLost):
            await getattr(client, kind)("state.set", {"key": "a"})
        assert await client.query("hub.health") == {"status": "ok"}
        assert hub.connections == 2


async def test_what_is_asked_without_a_connection_waits_for_the_next() -> None:
    reconnecting = trio.Event()

    async def hang_up(peer: Peer) -> None:
        return

    async def serve(peer: Peer) -> None:
        request = await peer.read()
        await peer.event(request, "e1", "late")
        await serve_health(peer)

    states: list[State] = []

    def note(state: State) -> None:
        states.append(state)
        if states.count("connecting") == 2:
            reconnecting.set()

    async with scripted_hub(hang_up, serve) as hub, connect(hub.url, on_state=note) as client:
        await reconnecting.wait()
        async with client.subscribe("stream.onX") as deliveries:
            assert (await anext(deliveries)).data == "late"
            assert await client.query("hub.health") == {"status": "ok"}


async def test_states_are_announced_in_order() -> None:
    states: list[State] = []

    async def swallow(peer: Peer) -> None:
        await peer.read()

    async with (
        scripted_hub(swallow, serve_health) as hub,
        connect(hub.url, on_state=states.append) as client,
    ):
        with pytest.raises(ConnectionLost):
            await client.query("x")
        await client.query("hub.health")
    assert states == ["connecting", "open", "connecting", "open", "closed"]


async def test_a_hub_that_is_full_while_reconnecting_is_tried_again() -> None:
    async def swallow(peer: Peer) -> None:
        await peer.read()

    full = Reject(503)
    async with scripted_hub(swallow, full, full, serve_health) as hub, connect(hub.url) as client:
        with pytest.raises(ConnectionLost):
            await client.query("x")
        assert await client.query("hub.health") == {"status": "ok"}
        assert hub.connections == 4


async def test_the_waits_grow_until_the_hub_is_heard() -> None:
    """A hub that only accepts, complains of the connection and closes must not be stormed."""
    begun: list[int] = []

    def waits() -> Any:
        begun.append(0)
        while True:
            begun[-1] += 1
            yield 0.0

    async def hang_up(peer: Peer) -> None:
        await peer.say(
            {"id": None, "error": {"message": "no", "code": -32001, "data": {"code": "UNAUTHORIZED"}}}
        )

    async def answer_one(peer: Peer) -> None:
        heard.set()
        await peer.answer(await peer.read(), 1)

    async def serve(peer: Peer) -> None:
        back.set()
        await serve_health(peer)

    heard, back = trio.Event(), trio.Event()

    async with (
        scripted_hub(hang_up, hang_up, answer_one, serve) as hub,
        adohub.client.connect(hub.url, backoff=waits) as client,
    ):
        await heard.wait()
        await client.query("a")
        await back.wait()
    assert begun == [2, 1]


async def test_ping_is_answered_with_pong() -> None:
    ponged = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.say("PING")
        assert await peer.read() == "PONG"
        ponged.set()
        request = await peer.read()
        await peer.answer(request, "alive")
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client:
        await ponged.wait()
        assert await client.query("x") == "alive"


async def test_a_reconnect_notice_is_followed_once_nothing_is_in_flight() -> None:
    noticed = trio.Event()
    order: list[str] = []

    async def leaving(peer: Peer) -> None:
        subscription, request = await peer.read(), await peer.read()
        await peer.event(subscription, "e1", 1)
        await peer.say({"id": None, "method": "reconnect"})
        noticed.set()
        order.append("answered")
        await peer.answer(request, "slow")
        await peer.until_closed()
        order.append("left")

    async def next_hub(peer: Peer) -> None:
        subscription = await peer.read()
        order.append(f"resumed after {subscription['params']['lastEventId']}")
        await peer.event(subscription, "e2", 2)
        await peer.stop(subscription)
        await serve_health(peer)

    async with (
        scripted_hub(leaving, next_hub) as hub,
        connect(hub.url) as client,
        client.subscribe("stream.onX") as deliveries,
    ):
        assert await client.query("slow") == "slow"
        assert [delivery.data async for delivery in deliveries] == [1, 2]
        assert await client.query("hub.health") == {"status": "ok"}
    assert order == ["answered", "left", "resumed after e1"]


async def test_a_message_too_big_for_the_hub_is_refused_and_the_rest_is_sent_again() -> None:
    async def close_1009(peer: Peer) -> None:
        await peer.read()
        await peer.read()
        await peer.close(1009)

    async def take(peer: Peer) -> None:
        await peer.answer(await peer.read(), {"id": "e1", "timestamp": "now"})
        await peer.until_closed()

    async with (
        scripted_hub(close_1009, take) as hub,
        connect(hub.url) as client,
        trio.open_nursery() as nursery,
    ):

        async def too_big() -> None:
            with pytest.raises(PeerError) as refusal:
                await client.publish("a.b", {"content": "x" * 1000})
            assert refusal.value.code == "PAYLOAD_TOO_LARGE"

        async def small() -> None:
            assert (await client.publish("a.b", {"content": ""})).id == "e1"

        nursery.start_soon(too_big)
        nursery.start_soon(small)


async def test_leaving_a_subscription_tells_the_hub_to_stop() -> None:
    stopped = trio.Event()

    async def script(peer: Peer) -> None:
        request = await peer.read()
        await peer.start(request)
        await peer.event(request, "e1", 1)
        assert await peer.read() == {"id": request["id"], "method": "subscription.stop"}
        await peer.event(request, "e2", "too late")
        await peer.stop(request)
        stopped.set()
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client:
        async with client.subscribe("stream.onX") as deliveries:
            await anext(deliveries)
        await stopped.wait()


async def test_a_subscription_that_is_not_read_stops_the_socket_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adohub.client.deliveries.BUFFER_MESSAGES", 2)
    asked_from: list[str | None] = []
    total = 20

    async def script(peer: Peer) -> None:
        request = await peer.read()
        last = request["params"].get("lastEventId")
        asked_from.append(last)
        for number in range(int(last or 0) + 1, total + 1):
            await peer.event(request, str(number), number)
            if number == total // 2 and last is None:
                return
        await peer.stop(request)
        await peer.until_closed()

    async with (
        scripted_hub(script) as hub,
        connect(hub.url) as client,
        client.subscribe("stream.onX") as deliveries,
    ):
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert [delivery.data async for delivery in deliveries] == list(range(1, total + 1))
    assert asked_from == [None, "10"]


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


async def test_what_the_block_raises_leaves_it_bare() -> None:
    async with scripted_hub(serve_health) as hub:
        with pytest.raises(KeyError, match="mine"):
            async with connect(hub.url):
                raise KeyError("mine")


async def test_a_closed_client_says_so() -> None:
    async with scripted_hub(serve_health) as hub:
        async with connect(hub.url) as client:
            pass
        assert isinstance(client, Client)
        with pytest.raises(trio.ClosedResourceError):
            await client.query("hub.health")


async def test_closing_when_cancelled_shakes_hands_and_does_not_wait_out_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adohub.client.link.CLOSE_S", 60.0)
    codes: list[int | None] = []
    closed = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.until_closed()
        codes.append(peer.socket.closed.code if peer.socket.closed else None)
        closed.set()

    async with scripted_hub(script) as hub:
        with trio.CancelScope() as scope:
            async with connect(hub.url):
                scope.cancel()
                await trio.sleep_forever()
        await closed.wait()
    assert codes == [1000]
