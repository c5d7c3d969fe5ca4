"""A running hub counts what happens to it, and tells at /metrics."""

from __future__ import annotations

import pytest
import trio

from adohub import Source
from adohub.config import Config, Keepalive, Server, Storage
from adohub.hub import supervisor
from adohub.plugin.contracts import Publish
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.running import Refused, open_peer, progress, running_hub, until
from tests.test_metrics import samples

PROGRESS = "stream.onTaskProgress"


async def scraped(port: int) -> dict[tuple[str, str], float]:
    response = await raw.exchange(port, raw.head("/metrics"))
    assert response is not None
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain")
    return samples(response.body.decode())


async def test_connections_subscriptions_messages_and_events_are_counted() -> None:
    async with running_hub() as hub, open_peer(hub.url) as publisher, open_peer(hub.url) as reader:
        await reader.subscribe(1, PROGRESS, {"taskId": "t", "replay": "none"})
        await reader.subscribe(2, "stream.onEvent", {"topics": ["**"]})
        before = await scraped(hub.port)
        assert before["ado_ws_connections_total", ""] == 2
        assert before["ado_hub_subscriptions", PROGRESS] == 1
        assert before["ado_hub_subscriptions", "stream.onEvent"] == 1
        for number in range(5):
            await publisher.publish("task.progress", progress("t", number))
        await reader.hear_all(10)
        after = await scraped(hub.port)
        assert after["ado_hub_events_total", "task.progress"] == 5
        assert after["ado_ws_latency_seconds_count", ""] == 10
        assert 1 <= after["ado_storage_append_seconds_count", ""] <= 5

        def grown(name: str) -> float:
            return after[name, ""] - before[name, ""]

        assert grown("ado_ws_messages_in_total") == 5
        assert grown("ado_ws_messages_out_total") == 15  # 10 events, 5 acknowledgements
        await reader.tell({"id": 2, "method": "subscription.stop"})
        await reader.hear()
        assert ("ado_hub_subscriptions", "stream.onEvent") not in await scraped(hub.port)


async def test_what_is_refused_is_counted_as_an_error() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        with pytest.raises(Refused):
            await peer.query("no.such")
        with pytest.raises(Refused):
            await peer.subscribe(1, "no.such")
        await peer.tell("{")
        await peer.hear()
        await raw.exchange(hub.port, raw.upgrade("/elsewhere"))
        assert (await scraped(hub.port))["ado_ws_errors_total", ""] == 4


async def test_a_replay_is_counted_message_by_message() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        for number in range(7):
            await peer.publish("task.progress", progress("t", number))
        before = await scraped(hub.port)
        await peer.subscribe(1, PROGRESS, {"taskId": "t", "replay": "all"})
        await peer.hear_all(7)
        after = await scraped(hub.port)
        assert after["ado_ws_messages_out_total", ""] - before["ado_ws_messages_out_total", ""] == 8


async def test_a_resume_from_a_forgotten_position_is_a_gap() -> None:
    async with running_hub(Config(server=Server(port=0), storage=Storage(max_events=5))) as hub:
        async with open_peer(hub.url) as peer:
            ids = [await peer.publish("task.progress", progress("t", number % 100)) for number in range(600)]
            await peer.subscribe(1, PROGRESS, {"taskId": "t"}, last_event_id=ids[-2])
            assert (await scraped(hub.port))["ado_hub_gaps_total", ""] == 0
            await peer.subscribe(2, PROGRESS, {"taskId": "t"}, last_event_id=ids[0])
            assert (await scraped(hub.port))["ado_hub_gaps_total", ""] == 1


async def test_a_slow_consumer_that_falls_out_of_storage_is_counted_as_both() -> None:
    config = Config(server=Server(port=0, outbox_bytes=16_384), storage=Storage(max_events=10))
    async with running_hub(config) as hub, open_peer(hub.url) as publisher:
        async with open_peer(hub.url, receive_buffer_bytes=4096) as slow:
            await slow.subscribe(1, PROGRESS, {"taskId": "t"})
            for _ in range(80):
                events = [
                    {"topic": "task.progress", "payload": progress("t", 50, "x" * 10_000)} for _ in range(10)
                ]
                await publisher.mutate("events.publishMany", {"events": events})
            assert (await scraped(hub.port))["ado_hub_slow_consumers_total", ""] >= 1
            last = await publisher.publish("task.progress", progress("t", 99))
            heard, told = "", 0
            while heard != last:
                result = (await slow.hear())["result"]
                heard = result.get("id", "")
                told += result == {"type": "started", "recovered": False}
            assert (await scraped(hub.port))["ado_hub_gaps_total", ""] == told >= 1


async def test_a_source_that_is_run_again_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_RESTART_S", 0.001)
    runs = []

    async def crash(publish: Publish) -> None:
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("crashed")
        await trio.sleep_forever()

    async with running_hub(
        Config(server=Server(port=0)), Contribution("x", sources=[Source("x", crash)])
    ) as hub:
        await until(lambda: len(runs) == 3)
        assert (await scraped(hub.port))["ado_source_restarts_total", "x"] == 2


async def test_connections_that_end_without_a_word_are_errors() -> None:
    """One that says nothing, one that is reset in the middle of a frame, and one that keep-alive gives up."""
    hasty = Config(
        server=Server(port=0, handshake_timeout_ms=100), keepalive=Keepalive(ping_ms=200, pong_wait_ms=100)
    )
    async with running_hub(hasty) as hub:

        async def errors() -> float:
            return (await scraped(hub.port))["ado_ws_errors_total", ""]

        async def counted(number: int) -> None:
            while await errors() < number:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)
            assert await errors() == number

        async with await raw.connected(hub.port) as silent:
            assert await raw.read_to_end(silent) == b""
        await counted(1)
        torn = await raw.upgraded(hub.port)
        await torn.send_all(raw.frame(raw.TEXT, b"half of it")[:5])
        raw.reset(torn)
        await counted(2)
        async with await raw.upgraded(hub.port) as dead:
            await raw.read_to_end(dead)
        await counted(3)


async def test_a_goodbye_is_no_error() -> None:
    async with running_hub() as hub:
        async with open_peer(hub.url) as peer:
            await peer.is_served()
        assert (await scraped(hub.port))["ado_ws_errors_total", ""] == 0
