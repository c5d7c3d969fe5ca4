"""Connecting, staying connected and being refused, with @trpc/client's own options."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from adohub.config import Auth, Config, Keepalive, Server
from adohub.net.gate import Gate
from adohub.net.outbox import Outbox
from tests.clients.puppet import VERSIONS, Puppet, PuppetError, Version, puppet
from tests.net.strangers import doorkeeper
from tests.running import FREE_PORT, gates_made, open_peer, progress, running_hub, until
from tests.severing import severing_proxy

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])
ROUNDS = 5
PATIENT = Config(server=Server(port=0), keepalive=Keepalive(ping_ms=50, pong_wait_ms=20_000))
REJECT_DELAY_S = 0.3
GUARDED = Config(server=Server(port=0), auth=Auth(reject_delay_ms=round(REJECT_DELAY_S * 1000)))


def only_outbox(gate: Gate) -> Outbox:
    (session,) = gate._sessions
    return session.outbox


async def hear_from(outbox: Outbox, times: int) -> None:
    """Return when bytes have come in `times` times."""
    for _ in range(times):
        before = outbox.last_received
        await until(lambda: outbox.last_received > before)  # noqa: B023 - awaited in this round


# ── keep-alive ───────────────────────────────────────────────────────────────────────────────────────────


async def assert_survives_keepalive(version: Version, *, speaks_v11: bool, **options: Any) -> None:
    """The idle client answers ROUNDS pings of the hub, and is as well as before."""
    with gates_made() as gates:
        async with running_hub(PATIENT) as hub, puppet(version, hub.url, **options) as client:
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
            await sub.until(lambda sub: "started" in sub.events)
            await hear_from(only_outbox(gates[0]), ROUNDS)
            assert [one.conversation.speaks_v11 for one in gates[0]._sessions] == [speaks_v11]
            async with open_peer(hub.url) as publisher:
                await publisher.publish("task.progress", progress("t", 7))
            await sub.until(lambda sub: sub.data)
            assert client.ws == [("open", None)]


@EACH_VERSION
async def test_the_hubs_ping_frames_are_answered_by_every_client(version: Version) -> None:
    await assert_survives_keepalive(version, speaks_v11=False)


@EACH_V11
async def test_the_hubs_text_pings_are_answered_by_client_11(version: Version) -> None:
    await assert_survives_keepalive(version, speaks_v11=True, connectionParams={})


@EACH_V11
async def test_the_clients_own_pings_are_answered_in_time(version: Version) -> None:
    keep_alive = {"enabled": True, "intervalMs": 30, "pongTimeoutMs": 10_000}
    with gates_made() as gates:
        async with running_hub() as hub, puppet(version, hub.url, keepAlive=keep_alive) as client:
            await client.query("hub.health")
            await hear_from(only_outbox(gates[0]), ROUNDS)
            assert client.ws == [("open", None)]


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────


@EACH_V11
async def test_good_connection_params_let_the_client_in(version: Version) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, connectionParams={"token": "good"}) as client:
            assert (await client.query("hub.health"))["status"] == "ok"


@EACH_V11
async def test_refused_params_fail_each_call_with_the_reason(version: Version) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, connectionParams={"token": "bad"}) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            with pytest.raises(PuppetError) as failed:
                await client.query("hub.health")
            assert failed.value.code == "UNAUTHORIZED"
            await sub.until(lambda sub: sub.errors)
            assert [error["code"] for error in sub.errors] == ["UNAUTHORIZED"]


@EACH_V11
async def test_a_refused_client_comes_back_no_faster_than_it_is_held(version: Version) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        began = trio.current_time()
        async with puppet(version, hub.url, connectionParams={"token": "bad"}, retryDelayMs=0) as client:
            await client.until(lambda client: opened(client) == 4)
        assert trio.current_time() - began >= 3 * REJECT_DELAY_S


def opened(client: Puppet) -> int:
    return [event for event, _ in client.ws].count("open")


@EACH_V11
async def test_a_refused_client_with_a_fresh_token_gets_in_at_its_next_attempt(version: Version) -> None:
    tokens = [{"token": "bad"}, {"token": "good"}]
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, connectionParams=tokens, retryDelayMs=0) as client:
            await client.until(lambda client: opened(client) == 2)
            assert (await client.query("hub.health"))["status"] == "ok"


@EACH_VERSION
async def test_a_token_in_the_url_lets_every_client_in(version: Version) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, f"{hub.url}/?token=good") as client:
            assert (await client.query("hub.health"))["status"] == "ok"


@EACH_VERSION
async def test_a_client_refused_at_the_upgrade_never_opens_and_backs_off(version: Version) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub, severing_proxy(hub.port) as proxy:
        began = trio.current_time()
        async with puppet(version, f"ws://127.0.0.1:{proxy.port}") as client:
            await until(lambda: proxy.connections == 3)
            assert opened(client) == 0
        assert trio.current_time() - began >= 2  # again at once, then after two seconds: the client's backoff


# ── lazy ─────────────────────────────────────────────────────────────────────────────────────────────────


@EACH_V11
async def test_a_lazy_client_connects_when_it_must_and_leaves_when_it_may(version: Version) -> None:
    lazy = {"enabled": True, "closeMs": 50}
    with gates_made() as gates:
        async with running_hub(FREE_PORT) as hub, puppet(version, hub.url, lazy=lazy) as client:
            for round_ in (1, 2):
                assert (await client.query("hub.health"))["status"] == "ok"
                assert opened(client) == round_
                await until(lambda: gates[0].connections == 0)
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
            await sub.until(lambda sub: "started" in sub.events)
            async with open_peer(hub.url) as publisher:
                await publisher.publish("task.progress", progress("t", 7))
            await sub.until(lambda sub: sub.data)


@EACH_VERSION
async def test_a_client_that_closes_leaves_nothing_behind(version: Version) -> None:
    with gates_made() as gates:
        async with running_hub() as hub, puppet(version, hub.url) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: "started" in sub.events)
            await client.unsubscribe(sub)
            await client.close()
            await until(lambda: gates[0].connections == 0)
