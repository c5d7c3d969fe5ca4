"""Clients with a MessagePack encoder are answered in MessagePack: bytes are bytes there, base64 in JSON."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from adohub.config import Config, DeclaredChannel, Server
from tests.clients.puppet import UNDEFINED, Js, PuppetError, puppet
from tests.running import completed, open_peer, progress, running_hub
from tests.severing import severing_proxy

V11 = Literal["v11", "v11.18"]
EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])

THINGS = DeclaredChannel(topics=("thing.made",), key="name", replay="last")
CONFIG = Config(server=Server(port=0), channels={"things.onThing": THINGS})
NAMED = {"name": "n"}
MADE = Js("{topic: 'thing.made', payload: {name: 'n', at: [1, {blob: new Uint8Array([0, 1, 254, 255])}]}}")
BYTES: Any = Js("Uint8Array(4) [ 0, 1, 254, 255 ]")
BASE64: Any = "AAH+/w=="


@EACH_V11
async def test_calls_batches_and_errors_are_what_they_are_in_json(version: V11) -> None:
    async with running_hub(CONFIG) as hub, puppet(version, hub.url, encoder="msgpack") as client:
        health, missing, published = await client.together(
            ("query", "hub.health", UNDEFINED),
            ("query", "no.such", UNDEFINED),
            ("mutation", "events.publish", {"topic": "task.progress", "payload": progress("t", 5, "日本")}),
        )
        assert health["status"] == "ok"
        assert isinstance(missing, PuppetError)
        assert missing.data == {"code": "NOT_FOUND", "httpStatus": 404, "path": "no.such"}
        (kept,) = (await client.query("events.history", {"topics": ["task.*"]}))["events"]
        assert (kept["id"], kept["payload"]["message"]) == (published["id"], "日本")


@EACH_V11
async def test_a_subscription_is_what_it_is_in_json(version: V11) -> None:
    async with running_hub(CONFIG) as hub, puppet(version, hub.url, encoder="msgpack") as client:
        async with open_peer(hub.url) as publisher:
            plain = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
            tracked = await client.subscribe("tracked.onTaskProgress", {"taskId": "t"})
            refused = await client.subscribe("stream.onTaskProgress", {"taskId": 7})
            for sub in (plain, tracked):
                await sub.until(lambda sub: "started" in sub.events)
            ids = [await publisher.publish("task.progress", progress("t", number)) for number in range(5)]
            await publisher.publish("task.completed", completed("t"))
            for sub in (plain, tracked):
                await sub.until(lambda sub: "complete" in sub.events)
            assert [event["progress"] for event in plain.data] == list(range(5))
            assert [event["id"] for event in tracked.data] == ids
            assert [event["data"] for event in tracked.data] == plain.data
            await refused.until(lambda sub: sub.errors)
            assert refused.errors[0]["code"] == "BAD_REQUEST"


@EACH_V11
async def test_bytes_arrive_as_bytes_there_and_as_base64_elsewhere(version: V11) -> None:
    async with (
        running_hub(CONFIG) as hub,
        puppet(version, hub.url, encoder="msgpack") as publisher,
        puppet(version, hub.url, encoder="msgpack") as binary,
        puppet(version, hub.url) as ws,
        puppet(version, hub.url, "batch+sse") as sse,
        puppet("v10", hub.url) as old,
    ):
        watching = [
            (await client.subscribe("things.onThing", NAMED), BYTES) for client in (publisher, binary)
        ]
        watching += [(await client.subscribe("things.onThing", NAMED), BASE64) for client in (ws, sse, old)]
        for sub, _ in watching:
            await sub.until(lambda sub: "started" in sub.events)
        await publisher.mutate("events.publish", MADE)
        for sub, blob in watching:
            await sub.until(lambda sub: sub.data)
            assert sub.data == [{"name": "n", "at": [1, {"blob": blob}]}]
        for client, blob in ((binary, BYTES), (ws, BASE64), (sse, BASE64), (old, BASE64)):
            (kept,) = (await client.query("events.history", {"topics": ["thing.*"]}))["events"]
            assert kept["payload"]["at"] == [1, {"blob": blob}]


@EACH_V11
async def test_bytes_that_are_kept_are_bytes_in_a_replay_and_in_the_state(version: V11) -> None:
    async with running_hub(CONFIG) as hub, puppet(version, hub.url, encoder="msgpack") as client:
        await client.mutate("events.publish", MADE)
        sub = await client.subscribe("things.onThing", {**NAMED, "replay": "all"})
        await sub.until(lambda sub: sub.data)
        assert sub.data[0]["at"][1]["blob"] == BYTES
        await client.mutate("state.set", Js("{key: 'k', value: new Uint8Array([0, 1, 254, 255])}"))
        assert (await client.query("state.get", {"key": "k"}))["value"] == BYTES


@EACH_V11
async def test_a_binary_subscriber_resumes_like_any_other(version: V11) -> None:
    async with running_hub(CONFIG) as hub, severing_proxy(hub.port) as proxy, open_peer(hub.url) as publisher:
        async with puppet(version, f"ws://127.0.0.1:{proxy.port}", encoder="msgpack") as client:
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
            await sub.until(lambda sub: "started" in sub.events)
            for round_ in range(5):
                for number in range(round_ * 10, round_ * 10 + 5):
                    await publisher.publish("task.progress", progress("t", number))
                await sub.until(lambda sub: len(sub.data) == round_ * 10 + 5)  # noqa: B023 - awaited here
                assert proxy.cut() == 1
                for number in range(round_ * 10 + 5, round_ * 10 + 10):
                    await publisher.publish("task.progress", progress("t", number))
            await sub.until(lambda sub: len(sub.data) == 50)
            assert [event["progress"] for event in sub.data] == list(range(50))


@EACH_V11
async def test_the_clients_own_pings_and_its_params_are_understood(version: V11) -> None:
    keep_alive = {"enabled": True, "intervalMs": 30, "pongTimeoutMs": 10_000}
    async with running_hub(CONFIG) as hub:
        async with puppet(
            version, hub.url, encoder="msgpack", keepAlive=keep_alive, connectionParams={"token": "t"}
        ) as client:
            for _ in range(5):
                assert (await client.query("hub.health"))["status"] == "ok"
            assert client.ws == [("open", None)]
