"""The client against a scripted hub on real sockets: calls and subscriptions while the connection holds."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from adohub.client import Client, Delivery
from adohub.errors import PeerError
from tests.client.scripted import Peer, connect, scripted_hub, serve_health


async def test_a_query_is_answered() -> None:
    seen: list[object] = []

    async def script(peer: Peer) -> None:
        seen.append((peer.path, request := await peer.read()))
        await peer.answer(request, {"status": "ok"})
        await peer.until_closed()

    async with scripted_hub(script) as hub, connect(hub.url) as client:
        assert await client.query("hub.health") == {"status": "ok"}
    assert seen == [
        ("/trpc?transformer=none", {"id": 1, "method": "query", "params": {"path": "hub.health"}})
    ]


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
    assert seen == [("Bearer secret", "/hub?x=1&transformer=none")]


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
