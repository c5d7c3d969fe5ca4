"""The client against a scripted hub on real sockets: what survives a lost connection, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import adohub.client
from adohub.client import ConnectionLost, State
from adohub.errors import PeerError
from tests.client.scripted import Peer, Reject, connect, scripted_hub, serve_health


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
