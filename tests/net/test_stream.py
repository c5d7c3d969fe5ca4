"""Subscriptions as server-sent events: the same cursors, the same order, and nothing lost on a resume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import frozen

from adohub.config import Config, Keepalive, Server, Storage
from adohub.net import outbox
from adohub.net.stream import MAX_UNHEARD_BYTES
from tests.net import raw
from tests.net.listening import Listening, listening
from tests.net.strangers import doorkeeper, strangers
from tests.running import FREE_PORT, Peer, completed, open_peer, progress
from tests.running import running_hub as running

T = {"taskId": "t"}


@frozen
class Hub:
    port: int
    publisher: Peer

    async def publish(self, *percents: float, task: str = "t", message: str = "") -> list[str]:
        """The ids of the events."""
        return [
            await self.publisher.publish("task.progress", progress(task, percent, message))
            for percent in percents
        ]

    async def complete(self) -> str:
        return await self.publisher.publish("task.completed", completed("t"))

    async def open_streams(self) -> float:
        """What the metrics say."""
        response = await raw.exchange(self.port, raw.head("/metrics"))
        assert response is not None
        lines = [
            line for line in response.body.decode().splitlines() if line.startswith("ado_hub_subscriptions{")
        ]
        return sum(float(line.split()[-1]) for line in lines)

    async def left_alone(self) -> None:
        """Return once there are no subscriptions."""
        while await self.open_streams():  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.001)


@asynccontextmanager
async def hub_at_work(config: Config = FREE_PORT, *contributions: Any) -> AsyncIterator[Hub]:
    async with running(config, *contributions) as hub, open_peer(hub.url) as publisher:
        yield Hub(hub.port, publisher)


async def begun(stream: Listening) -> Any:
    """What `connected` says."""
    kind, options, _ = await stream.hear()
    assert kind == "connected"
    return options


def percents(events: list[tuple[str, Any]]) -> list[float]:
    return [data["progress"] for kind, data in events if kind == "message"]


# ── what is streamed ─────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_is_one_that_proxies_and_browsers_leave_alone() -> None:
    async with hub_at_work() as hub, listening(hub.port, "stream.onSystemEvent") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.headers
        assert "transfer-encoding" not in stream.headers
        assert await begun(stream) == {}


async def test_plain_events_come_bare_and_tracked_ones_with_their_ids() -> None:
    async with (
        hub_at_work() as hub,
        listening(hub.port, "stream.onTaskProgress", T) as plain,
        listening(hub.port, "tracked.onTaskProgress", T) as tracked,
        open_peer(f"ws://127.0.0.1:{hub.port}") as peer,
    ):
        await peer.subscribe(1, "stream.onTaskProgress", T)
        await begun(plain)
        await begun(tracked)
        [event_id] = await hub.publish(7)
        kind, data, last_event_id = await plain.hear()
        assert (kind, data["progress"], last_event_id) == ("message", 7, "")
        assert await plain.hear() == ("ping", None, event_id)
        assert await tracked.hear() == ("message", data, event_id)
        assert (await peer.hear())["result"] == {"type": "data", "data": data, "id": event_id}


async def test_a_stream_begins_with_what_its_channel_replays() -> None:
    async with hub_at_work() as hub:
        await hub.publish(1, 2, 3)
        async with listening(hub.port, "stream.onTaskProgress", T) as stream:
            await begun(stream)
            assert (await stream.data())["progress"] == 3
        async with listening(hub.port, "stream.onTaskProgress", {**T, "replay": "all"}) as stream:
            await begun(stream)
            assert [(await stream.data())["progress"] for _ in range(3)] == [1, 2, 3]


async def test_a_snapshot_is_streamed_then_changes() -> None:
    async with hub_at_work() as hub:
        await hub.publisher.mutate("state.set", {"key": "a", "value": 1})
        async with listening(hub.port, "state.onChange", {"prefix": ""}) as stream:
            await begun(stream)
            assert [(await stream.data())["op"] for _ in range(2)] == ["set", "synced"]
            await hub.publisher.mutate("state.set", {"key": "a", "value": 2})
            change = await stream.data()
            assert (change["key"], change["value"], change["revision"]) == ("a", 2, 2)


@pytest.mark.parametrize("late", [False, True])
async def test_completion_is_a_return_and_the_end_of_the_connection(late: bool) -> None:
    async with hub_at_work() as hub:
        if late:
            await hub.publish(9)
            await hub.complete()
        async with listening(hub.port, "stream.onTaskProgress", T) as stream:
            await begun(stream)
            if not late:
                await hub.publish(9)
                await hub.complete()
            *shown, last = await stream.rest()
            assert percents(shown) == [9]
            assert last == ("return", None)
        await hub.left_alone()


async def test_all_that_was_streamed_arrives_before_the_connection_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is more than a socket holds, and a connection that closes waits for nobody here."""
    monkeypatch.setattr(outbox, "LINGER_S", 0.0)
    async with hub_at_work() as hub:
        count, message = 300, "x" * 20_000
        await hub.publish(*[number / 10 for number in range(count)], message=message)
        await hub.complete()
        async with listening(hub.port, "stream.onTaskProgress", {**T, "replay": "all"}) as stream:
            *shown, last = await stream.rest()
            assert len(percents(shown)) == count
            assert last == ("return", None)


# ── resuming ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["stream.onTaskProgress", "tracked.onTaskProgress"])
async def test_who_comes_back_gets_exactly_what_it_missed(path: str) -> None:
    async with hub_at_work() as hub:
        heard: list[float] = []
        last_event_id = ""
        for number in range(1, 30, 3):
            async with listening(hub.port, path, T, last_event_id=last_event_id) as stream:
                options = await begun(stream)
                assert options.get("recovered") is (True if last_event_id else None)
                await hub.publish(number, number + 1)
                heard += [(await stream.data())["progress"] for _ in range(3 if last_event_id else 2)]
                if path.startswith("stream"):
                    assert (await stream.hear())[0] == "ping"
                last_event_id = stream.source.last_event_id
            await hub.publish(number + 2)
        async with listening(hub.port, path, T, last_event_id=last_event_id) as stream:
            await begun(stream)
            heard.append((await stream.data())["progress"])
        assert heard == list(range(1, 31))


async def test_the_header_is_the_newest_word_on_where_to_go_on() -> None:
    async with hub_at_work() as hub:
        first, second, _ = await hub.publish(1, 2, 3)
        path, in_input = "tracked.onTaskProgress", {**T, "lastEventId": first}
        async with (
            listening(hub.port, path, in_input, last_event_id=second) as by_header,
            listening(hub.port, path, T, last_event_id=second, lastEventId=first) as by_header_too,
            listening(hub.port, path, in_input) as by_input,
            listening(hub.port, path, T, lastEventId=first) as by_query,
        ):
            for stream, expected in (
                (by_header, [3]),
                (by_header_too, [3]),
                (by_input, [2, 3]),
                (by_query, [2, 3]),
            ):
                await begun(stream)
                assert [(await stream.data())["progress"] for _ in expected] == expected


async def test_a_gap_is_told_where_the_stream_begins() -> None:
    config = Config(server=Server(port=0), storage=Storage(max_events=2))
    async with hub_at_work(config) as hub:
        first, *_ = await hub.publish(1, 2, 3, 4)
        async with listening(hub.port, "tracked.onTaskProgress", T, last_event_id=first) as stream:
            assert (await begun(stream))["recovered"] is False
            assert [(await stream.data())["progress"] for _ in range(2)] == [3, 4]
        async with listening(hub.port, "tracked.onTaskProgress", T, last_event_id="no such id") as stream:
            assert (await begun(stream))["recovered"] is False


# ── refusals and endings ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "input", "code"),
    [
        ("stream.onTaskProgress", {"taskId": 5}, "BAD_REQUEST"),
        ("stream.onTaskProgress", {}, "BAD_REQUEST"),
        ("stream.onEvent", {"topics": ["not a pattern"]}, "BAD_REQUEST"),
        ("test.onFault", {}, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_a_subscription_that_cannot_be_is_refused_in_its_stream(
    path: str, input: object, code: str
) -> None:
    async with hub_at_work(FREE_PORT, strangers()) as hub, listening(hub.port, path, input) as stream:
        assert stream.status == 200
        [connected, (kind, shape)] = await stream.rest()
        assert connected == ("connected", {})
        assert (kind, shape["data"]["code"], shape["data"]["path"]) == ("serialized-error", code, path)
        await hub.left_alone()


async def test_bad_connection_params_are_refused_in_the_stream_and_a_bad_header_by_http() -> None:
    async with running(FREE_PORT, doorkeeper()) as hub:
        for params in ('{"token":"bad"}', "{bad", "{}"):
            async with listening(hub.port, "stream.onSystemEvent", connectionParams=params) as stream:
                [_, (kind, shape)] = await stream.rest()
                assert kind == "serialized-error"
                assert shape["code"] in (-32001, -32700)
        async with listening(hub.port, "stream.onSystemEvent", connectionParams='{"token":"good"}') as stream:
            assert await begun(stream) == {}
        async with listening(hub.port, "stream.onSystemEvent") as stream:
            assert stream.status == 401


async def test_a_hub_that_drains_ends_streams_without_a_word() -> None:
    """An EventSource comes back then; after a `return` it would not."""
    async with running() as hub, listening(hub.port, "stream.onSystemEvent") as stream:
        await begun(stream)
        hub.daemon.stop()
        assert await stream.rest() == []
        await hub.ended.wait()


async def test_who_leaves_is_forgotten() -> None:
    async with hub_at_work() as hub:
        for end in (trio.SocketStream.aclose, trio.SocketStream.send_eof):
            async with listening(hub.port, "stream.onSystemEvent") as stream:
                await begun(stream)
                assert await hub.open_streams() == 1
                await end(stream.stream)
                await hub.left_alone()
        async with listening(hub.port, "stream.onSystemEvent") as stream:
            await begun(stream)
            raw.reset(stream.stream)
            await hub.left_alone()


async def test_what_a_listener_says_is_not_acted_upon_and_not_for_ever_listened_to() -> None:
    async with hub_at_work() as hub, listening(hub.port, "stream.onTaskProgress", T) as stream:
        await begun(stream)
        await stream.stream.send_all(raw.head("/trpc/hub.health") * 2)
        await hub.publish(5)
        assert (await stream.data())["progress"] == 5
        await stream.stream.send_all(bytes(MAX_UNHEARD_BYTES))
        assert await stream.rest() == []


# ── keep-alive, back-pressure ────────────────────────────────────────────────────────────────────────


async def test_a_silent_stream_is_pinged_and_tracked_clients_know_when_silence_is_too_long() -> None:
    config = Config(server=Server(port=0), keepalive=Keepalive(ping_ms=40, pong_wait_ms=40))
    async with running(config) as hub:
        async with (
            listening(hub.port, "tracked.onTaskProgress", T) as tracked,
            listening(hub.port, "stream.onTaskProgress", T) as plain,
        ):
            assert await begun(tracked) == {"reconnectAfterInactivityMs": 80}
            assert await begun(plain) == {}
            for stream in (tracked, plain):
                assert [(await stream.hear())[0] for _ in range(3)] == ["ping"] * 3


async def test_without_keep_alive_nothing_is_promised() -> None:
    config = Config(server=Server(port=0), keepalive=Keepalive(enabled=False))
    async with running(config) as hub, listening(hub.port, "tracked.onTaskProgress", T) as stream:
        assert await begun(stream) == {}


async def test_a_stream_that_is_not_read_costs_no_more_than_its_outbox_and_catches_up() -> None:
    config = Config(server=Server(port=0, outbox_bytes=10_000))
    count, message = 400, "x" * 10_000
    async with hub_at_work(config) as hub:
        async with listening(hub.port, "tracked.onTaskProgress", T) as stream:
            await begun(stream)
            ids = await hub.publish(*[number / 10 for number in range(count)], message=message)
            heard = [await stream.hear() for _ in range(count)]
            assert [event_id for _, _, event_id in heard] == ids
            assert [data["progress"] for _, data, _ in heard] == [number / 10 for number in range(count)]
        response = await raw.exchange(hub.port, raw.head("/metrics"))
        assert response is not None
        assert b"ado_hub_slow_consumers_total 0.0" not in response.body


async def test_a_quoted_path_is_refused_in_the_stream_as_well() -> None:
    async with hub_at_work() as hub, listening(hub.port, "stream%2EonTaskProgress", {"taskId": 5}) as stream:
        assert stream.status == 200
        [_, (kind, shape)] = await stream.rest()
        assert (kind, shape["data"]["path"]) == ("serialized-error", "stream.onTaskProgress")
