"""A connection that is cut costs @trpc/client 11 nothing, and client 10 no more than the channel's replay."""

from __future__ import annotations

import pytest
import trio

from adohub.config import Config, Server
from tests.clients.puppet import VERSIONS, Sub, Version, puppet
from tests.net.strangers import Patience, strangers
from tests.running import FREE_PORT, Peer, completed, gates_made, open_peer, progress, running_hub, until
from tests.severing import Proxy, severing_proxy

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
EVENTS, CUTS = 1000, 5


async def publish(publisher: Peer, numbers: range) -> None:
    """One event per number, which is its message, all in one go."""
    events = [{"topic": "task.progress", "payload": progress("t", 1, str(number))} for number in numbers]
    await publisher.mutate("events.publishMany", {"events": events})


def numbers_seen(sub: Sub) -> list[int]:
    """The numbers of the events that `onData` was given, plain or tracked."""
    return [int(event.get("data", event)["message"]) for event in sub.data]


async def publish_with_cuts(publisher: Peer, proxy: Proxy, sub: Sub) -> None:
    """EVENTS events and CUTS cuts: each cuts a connection that has carried some, with more on their way."""
    per_round = EVENTS // CUTS
    for begin in range(0, EVENTS, per_round):
        await publish(publisher, range(begin, begin + per_round // 2))
        await sub.until(lambda sub: numbers_seen(sub)[-1:] >= [begin])  # noqa: B023 - awaited in this round
        await publish(publisher, range(begin + per_round // 2, begin + per_round - 40))
        assert proxy.cut() == 1
        await publish(publisher, range(begin + per_round - 40, begin + per_round))


@pytest.mark.parametrize("version", ["v11", "v11.18"])
@pytest.mark.parametrize("path", ["stream.onTaskProgress", "tracked.onTaskProgress"])
async def test_of_1000_events_over_five_cuts_each_is_seen_once_in_order(version: Version, path: str) -> None:
    async with running_hub() as hub, severing_proxy(hub.port) as proxy, open_peer(hub.url) as publisher:
        async with puppet(version, f"ws://127.0.0.1:{proxy.port}") as client:
            sub = await client.subscribe(path, {"taskId": "t"})
            await sub.until(lambda sub: "started" in sub.events)
            await publish_with_cuts(publisher, proxy, sub)
            await publisher.publish("task.completed", completed("t"))
            await sub.until(lambda sub: "complete" in sub.events)
            assert numbers_seen(sub) == list(range(EVENTS))
            assert sub.errors == []
            assert proxy.connections == CUTS + 1


async def test_client_10_sends_no_position_and_gets_the_replay_of_its_channel_after_each_cut() -> None:
    async with running_hub() as hub, severing_proxy(hub.port) as proxy, open_peer(hub.url) as publisher:
        async with puppet("v10", f"ws://127.0.0.1:{proxy.port}") as client:
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
            await sub.until(lambda sub: "started" in sub.events)
            await publish(publisher, range(3))
            for cuts in range(1, CUTS + 1):
                await sub.until(lambda sub: len(sub.data) == 2 + cuts)  # noqa: B023 - awaited in this round
                assert proxy.cut() == 1
            await sub.until(lambda sub: len(sub.data) == 3 + CUTS)
            assert numbers_seen(sub) == [0, 1, 2] + [2] * CUTS  # "last" is what this channel replays
            await publisher.publish("task.completed", completed("t"))
            await sub.until(lambda sub: "complete" in sub.events)


@EACH_VERSION
async def test_a_call_in_flight_on_a_connection_that_is_cut_fails_and_later_ones_do_not(
    version: Version,
) -> None:
    patience = Patience()
    async with running_hub(FREE_PORT, strangers(patience)) as hub, severing_proxy(hub.port) as proxy:
        async with puppet(version, f"ws://127.0.0.1:{proxy.port}") as client, trio.open_nursery() as nursery:
            failed = []

            async def call() -> None:
                failed.append((await client.together(("query", "test.wait", None)))[0])

            nursery.start_soon(call)
            await until(lambda: patience.begun)
            assert proxy.cut() == 1
            await client.until(lambda client: client.ws.count(("open", None)) == 2)
            assert (await client.query("hub.health"))["status"] == "ok"
            assert (len(failed), patience.begun) == (1, 1)


# ── a hub that ends, and one that comes after it ─────────────────────────────────────────────────────────


@EACH_VERSION
async def test_a_call_in_flight_when_the_hub_drains_is_answered_before_the_close(version: Version) -> None:
    patience = Patience()
    with gates_made() as gates:
        async with running_hub(FREE_PORT, strangers(patience)) as hub, puppet(version, hub.url) as client:

            async def let_go_while_draining() -> None:
                await until(lambda: patience.begun)
                hub.daemon.stop()
                await until(lambda: gates[0].draining)
                patience.let_go.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(let_go_while_draining)
                assert await client.query("test.wait") == 1
            await client.until(lambda client: ("close", 1012) in client.ws)


async def events_over_a_restart(version: Version) -> list[int]:
    """What a subscriber sees of three events, a restart that forgets them, and three more."""
    async with running_hub() as hub:
        async with puppet(version, hub.url, retryDelayMs=10) as client:
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
            await sub.until(lambda sub: "started" in sub.events)
            async with open_peer(hub.url) as publisher:
                await publish(publisher, range(3))
            await sub.until(lambda sub: len(sub.data) == 3)
            hub.daemon.stop()
            await hub.ended.wait()
            async with running_hub(Config(server=Server(port=hub.port))) as again:
                async with open_peer(again.url) as publisher_again:
                    await publish(publisher_again, range(10, 13))
                    await publisher_again.publish("task.completed", completed("t"))
                    await sub.until(lambda sub: "complete" in sub.events)
                    assert sub.errors == []
                    return numbers_seen(sub)


@pytest.mark.parametrize("version", ["v11", "v11.18"])
async def test_client_11_gets_all_that_a_hub_has_kept_which_forgot_its_position(version: Version) -> None:
    assert await events_over_a_restart(version) == [0, 1, 2, 10, 11, 12]


async def test_client_10_gets_the_replay_of_its_channel_from_a_hub_that_was_restarted() -> None:
    seen = await events_over_a_restart("v10")
    assert seen[:3] == [0, 1, 2]
    assert seen[3:] in ([12], [11, 12], [10, 11, 12])  # by how soon it was back; always the newest
