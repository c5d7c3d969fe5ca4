"""Links that carry nothing themselves: splitLink, loggerLink and retryLink before the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import trio

from tests.cli.processes import progress, publish, serving, sqlite_at
from tests.clients.puppet import UNDEFINED, VERSIONS, PuppetError, Version, Via, puppet
from tests.running import completed, running_hub, until

V11 = Literal["v11", "v11.18"]
EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])
TOPIC = "task.progress"
TASK = {"taskId": "t"}


@EACH_VERSION
async def test_calls_may_go_over_http_and_subscriptions_over_websockets(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url, "batch+ws") as client:
        sub = await client.subscribe("stream.onTaskProgress", TASK)
        await sub.until(lambda sub: "started" in sub.events)
        await client.mutate("events.publish", {"topic": TOPIC, "payload": progress("t", 7)})
        await client.mutate("events.publish", {"topic": "task.completed", "payload": completed("t")})
        await sub.until(lambda sub: "complete" in sub.events)
        assert [event["progress"] for event in sub.data] == [7]
        assert (client.http, client.ws) == ([200, 200], [("open", None)])


@EACH_V11
async def test_calls_may_stream_and_subscriptions_be_server_sent(version: V11) -> None:
    async with running_hub() as hub, puppet(version, hub.url, "stream+sse") as client:
        sub = await client.subscribe("stream.onTaskProgress", TASK)
        await sub.until(lambda sub: "started" in sub.events)
        await client.mutate("events.publish", {"topic": "task.completed", "payload": completed("t")})
        await sub.until(lambda sub: "complete" in sub.events)
        assert (client.http, client.ws) == ([200], [])


@EACH_VERSION
@pytest.mark.parametrize("via", ["ws", "http", "batch", "stream"])
async def test_the_logger_hears_of_each_call_and_its_outcome(version: Version, via: Via) -> None:
    async with running_hub() as hub, puppet(version, hub.url, via, log=True) as client:
        await client.together(("query", "hub.health", UNDEFINED), ("mutation", "events.publish", {}))
        assert sorted(client.logged) == [
            ("down", "mutation", "events.publish"),
            ("down", "query", "hub.health"),
            ("up", "mutation", "events.publish"),
            ("up", "query", "hub.health"),
        ]


# ── retryLink ────────────────────────────────────────────────────────────────────────────────────────────


@EACH_V11
async def test_a_query_is_tried_until_the_hub_is_back(version: V11, tmp_path: Path) -> None:
    async with serving(tmp_path) as hub:
        async with puppet(version, hub.url, "batch", retries=200) as client, trio.open_nursery() as nursery:
            await hub.kill()
            answers = []

            async def call() -> None:
                answers.append(await client.query("hub.health"))

            nursery.start_soon(call)
            async with serving(tmp_path, port=hub.port):
                await until(lambda: answers)
            assert answers[0]["status"] == "ok"


@EACH_V11
@pytest.mark.parametrize("via", ["ws", "batch"])
async def test_a_call_that_is_wrong_is_tried_no_oftener_than_was_said(version: V11, via: Via) -> None:
    async with running_hub() as hub, puppet(version, hub.url, via, retries=3) as client:
        with pytest.raises(PuppetError) as failed:
            await client.query("events.history", {"topics": 7})
        assert failed.value.code == "BAD_REQUEST"
        assert client.http == ([] if via == "ws" else [400] * 4)


@asynccontextmanager
async def bad_gateway(port: int) -> AsyncIterator[list[str]]:
    """What stands before a hub that is away: 502 for everybody. The requests so far."""
    requests: list[str] = []

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            requests.append((await stream.receive_some(65536)).decode())
            await stream.send_all(
                b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, listeners)
        yield requests
        nursery.cancel_scope.cancel()


@EACH_V11
async def test_a_tracked_subscription_that_a_gateway_ended_goes_on_where_it_was(
    version: V11, tmp_path: Path
) -> None:
    toml = sqlite_at(tmp_path / "hub.db")
    async with serving(tmp_path, toml) as hub:
        async with puppet(version, hub.url, "batch+sse", retries=1000) as client:
            sub = await client.subscribe("tracked.onTaskProgress", TASK)
            await sub.until(lambda sub: "started" in sub.events)
            await publish(hub.url, *((TOPIC, progress("t", number)) for number in range(5)))
            await sub.until(lambda sub: len(sub.data) == 5)
            await hub.kill()
            async with bad_gateway(int(hub.port)) as requests:
                await until(lambda: len(requests) >= 2)  # the second is the retryLink's
            assert sub.data[-1]["id"] in requests[-1].partition(" HTTP/")[0]
            async with serving(tmp_path, toml, port=hub.port) as again:
                await publish(again.url, *((TOPIC, progress("t", number)) for number in range(5, 10)))
                await publish(again.url, ("task.completed", completed("t")))
                await sub.until(lambda sub: "complete" in sub.events)
            assert [event["data"]["progress"] for event in sub.data] == list(range(10))
            assert sub.errors == []


@EACH_V11
async def test_without_it_a_gateways_answer_is_the_end(version: V11, tmp_path: Path) -> None:
    async with serving(tmp_path) as hub, puppet(version, hub.url, "batch+sse") as client:
        sub = await client.subscribe("tracked.onTaskProgress", TASK)
        await sub.until(lambda sub: "started" in sub.events)
        await hub.kill()
        async with bad_gateway(int(hub.port)):
            await sub.until(lambda sub: sub.errors)
