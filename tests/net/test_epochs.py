"""A new epoch as clients on the wire hear of it: a second `started`, and the subscription goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import frozen

from adohub.config import Config, DeclaredChannel, Server, Storage
from adohub.plugin.registry import Contribution
from adohub.plugin.storage import Storage as OpenStorage
from adohub.plugin.storage import StorageEngine, StorageSettings
from tests.hub.breaking import BreakingStorage
from tests.net.listening import listening
from tests.running import Peer, RunningHub, open_peer, progress, running_hub

CONFIG = Config(
    server=Server(port=0),
    storage=Storage(engine="breaking"),
    channels={"deploy.onRelease": DeclaredChannel(topics=("deploy.release",), key="env", on_gap="error")},
)
T = {"taskId": "t"}
MISSED = {"type": "started", "recovered": False}


@frozen
class World:
    """A hub on a storage whose epoch can end, and a peer that publishes."""

    hub: RunningHub
    storage: BreakingStorage
    publisher: Peer

    async def publish(self, percent: float) -> str:
        return await self.publisher.publish("task.progress", progress("t", percent))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    opened: list[BreakingStorage] = []

    @asynccontextmanager
    async def open_(settings: StorageSettings) -> AsyncIterator[OpenStorage]:
        opened.append(BreakingStorage(settings))
        yield opened[0]

    engine = Contribution("breaking", storage_engines=[StorageEngine("breaking", open_)])
    async with running_hub(CONFIG, engine) as hub, open_peer(hub.url) as publisher:
        yield World(hub, opened[0], publisher)


async def test_a_websocket_is_told_of_the_gap_and_gets_what_comes(world: World) -> None:
    async with open_peer(world.hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", T)
        first = await world.publish(1)
        assert (await peer.hear())["result"]["id"] == first
        world.storage.flush()
        assert await peer.hear() == {"id": 1, "result": MISSED}
        second = await world.publish(2)
        assert (await peer.hear())["result"]["id"] == second
        world.storage.fail_over(lost=0)
        assert await peer.hear() == {"id": 1, "result": MISSED}
        third = await world.publish(3)
        assert (await peer.hear())["result"]["id"] == third
        assert await peer.heard_before_pong() == []


@pytest.mark.parametrize("path", ["stream.onTaskProgress", "tracked.onTaskProgress"])
async def test_an_event_stream_is_told_of_the_gap_and_gets_what_comes(world: World, path: str) -> None:
    async with listening(world.hub.port, path, T) as stream:
        kind, options, _ = await stream.hear()
        assert (kind, options.get("recovered")) == ("connected", None)
        await world.publish(1)
        assert (await stream.data())["progress"] == 1
        if path.startswith("stream"):
            assert (await stream.hear())[0] == "ping"
        world.storage.flush()
        kind, again, _ = await stream.hear()
        assert (kind, again) == ("connected", {**options, "recovered": False})
        await world.publish(2)
        assert (await stream.data())["progress"] == 2


async def test_a_channel_that_wants_no_gap_fails_at_the_break(world: World) -> None:
    async with open_peer(world.hub.url) as peer:
        await peer.subscribe(1, "deploy.onRelease", {"env": "live"})
        async with listening(world.hub.port, "deploy.onRelease", {"env": "live"}) as stream:
            await stream.hear()
            world.storage.flush()
            failure, stopped = await peer.hear_all(2)
            kind, error, _ = await stream.hear()
    assert failure["error"]["data"]["code"] == error["data"]["code"] == "PRECONDITION_FAILED"
    assert (stopped["result"]["type"], kind) == ("stopped", "serialized-error")


async def test_who_comes_back_with_an_id_from_before_is_told_of_the_gap(world: World) -> None:
    last = [await world.publish(number) for number in range(3)][1]
    world.storage.fail_over(lost=0)
    async with open_peer(world.hub.url) as peer:
        assert await peer.subscribe(1, "stream.onTaskProgress", T, last_event_id=last) == MISSED
        [message] = [await peer.hear()]
        assert message["result"]["data"]["progress"] == 2
        assert await peer.heard_before_pong() == []


async def test_trouble_that_storage_knows_of_shows_though_nobody_publishes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.storage, "trouble", lambda: "its server does not answer")
    assert (await world.publisher.query("hub.health"))["status"] == "degraded"
    monkeypatch.undo()
    assert (await world.publisher.query("hub.health"))["status"] == "ok"
