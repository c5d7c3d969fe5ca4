"""Subscriptions as server-sent events, as @trpc/client 11's callers meet them."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path
from random import Random, SystemRandom
from typing import Literal

import pytest
import trio

from adohub.config import Config, Server
from adohub.plugin.registry import Contribution
from tests.cli.processes import Hub, history, serving, sqlite_at
from tests.clients.publisher import Publisher
from tests.clients.puppet import Sub, puppet
from tests.clients.test_crashes import check, killed_while_publishing
from tests.net.strangers import doorkeeper
from tests.running import FREE_PORT, Peer, completed, gates_made, open_peer, progress, running_hub, until
from tests.severing import severing_proxy

V11 = Literal["v11", "v11.18"]
EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])
EACH_TWIN = pytest.mark.parametrize("path", ["stream.onTaskProgress", "tracked.onTaskProgress"])
GUARDED = Config(server=Server(port=0))
TASK = {"taskId": "t"}
TOPIC = "task.progress"
DEADLINE_S = 180


async def started(sub: Sub, times: int = 1) -> None:
    await sub.until(lambda sub: sub.events.count("started") >= times)


async def publish(publisher: Peer, numbers: range) -> list[str]:
    """One event per number, which is its message, all in one go: their ids."""
    events = [{"topic": TOPIC, "payload": progress("t", 1, str(number))} for number in numbers]
    ids: list[str] = (await publisher.mutate("events.publishMany", {"events": events}))["ids"]
    return ids


def states(sub: Sub) -> list[str]:
    """What the client thought of its connection."""
    return [value for event, value in sub.log if event == "state"]


def numbers_seen(sub: Sub) -> list[int]:
    """The numbers of the events that `onData` was given, plain or tracked."""
    return [int(event.get("data", event)["message"]) for event in sub.data]


# ── what a subscriber is told ────────────────────────────────────────────────────────────────────────────


@EACH_V11
async def test_plain_events_come_plain_and_their_tracked_twins_with_their_ids(version: V11) -> None:
    async with running_hub() as hub, puppet(version, hub.url, "batch+sse") as client:
        async with open_peer(hub.url) as publisher:
            plain = await client.subscribe("stream.onTaskProgress", TASK)
            tracked = await client.subscribe("tracked.onTaskProgress", TASK)
            for sub in (plain, tracked):
                await started(sub)
            ids = [await publisher.publish(TOPIC, progress("t", number)) for number in range(5)]
            await publisher.publish("task.completed", completed("t"))
            for sub in (plain, tracked):
                await sub.until(lambda sub: "complete" in sub.events)
                what_happened = [event for event in sub.events if event != "state"]
                assert what_happened == ["started", *["data"] * 5, "stopped", "complete"]
            assert [event["progress"] for event in plain.data] == list(range(5))
            assert [event["id"] for event in tracked.data] == ids
            assert [event["data"] for event in tracked.data] == plain.data
            assert client.ws == []


@EACH_V11
async def test_a_task_that_is_over_is_told_and_completes(version: V11) -> None:
    async with running_hub() as hub, open_peer(hub.url) as publisher:
        await publisher.publish("task.completed", completed("t"))
        async with puppet(version, hub.url, "batch+sse") as client:
            sub = await client.subscribe("stream.onTaskCompleted", TASK)
            await sub.until(lambda sub: "complete" in sub.events)
            assert [event["status"] for event in sub.data] == ["completed"]


@EACH_V11
async def test_a_wrong_input_is_told_once_and_is_final(version: V11) -> None:
    async with running_hub() as hub, puppet(version, hub.url, "batch+sse") as client:
        sub = await client.subscribe("stream.onTaskProgress", {"taskId": 7})
        await sub.until(lambda sub: sub.errors)
        (error,) = sub.errors
        assert error["data"] == {"code": "BAD_REQUEST", "httpStatus": 400, "path": "stream.onTaskProgress"}
        assert error["message"].startswith("taskId: ")
        assert sub.data == []


@EACH_V11
async def test_who_may_not_is_told_why(version: V11) -> None:
    strict = Contribution("strict", authorizers=[lambda principal, action, resource: False])
    async with running_hub(FREE_PORT, strict) as hub, puppet(version, hub.url, "batch+sse") as client:
        sub = await client.subscribe("tracked.onTaskProgress", TASK)
        await sub.until(lambda sub: sub.errors)
        assert [error["code"] for error in sub.errors] == ["FORBIDDEN"]


@EACH_V11
async def test_what_is_no_subscription_ends_it(version: V11) -> None:
    async with running_hub() as hub, puppet(version, hub.url, "batch+sse") as client:
        for path in ("stream.onNothing", "hub.health"):
            sub = await client.subscribe(path)
            await sub.until(lambda sub: sub.errors)
            assert "started" not in sub.events


@EACH_V11
async def test_after_an_unsubscribe_the_hub_has_nobody_left(version: V11) -> None:
    with gates_made() as gates:
        async with running_hub() as hub, puppet(version, hub.url, "batch+sse") as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await started(sub)
            assert gates[0].connections == 1
            await client.unsubscribe(sub)
            await until(lambda: gates[0].connections == 0)


@EACH_V11
async def test_clients_of_every_kind_see_the_same_on_one_channel(version: V11) -> None:
    async with (
        running_hub() as hub,
        puppet(version, hub.url) as ws,
        puppet(version, hub.url, "batch+sse") as sse,
        puppet("v10", hub.url) as old,
    ):
        subs = [await client.subscribe("tracked.onTaskProgress", TASK) for client in (ws, sse, old)]
        for sub in subs:
            await started(sub)
        for number, client in enumerate([ws, sse, old] * 10):
            await client.mutate("events.publish", {"topic": TOPIC, "payload": progress("t", 1, str(number))})
        page = await sse.query("events.history", {"topics": [TOPIC]})
        for sub in subs:
            await sub.until(lambda sub: len(sub.data) == 30)
            assert numbers_seen(sub) == list(range(30))
            assert [event["id"] for event in sub.data] == [event["id"] for event in page["events"]]


@EACH_V11
async def test_text_of_every_kind_arrives_as_it_was(version: V11) -> None:
    texts = [
        "",
        "ümläut",
        "日本",
        "😀",
        "a\u0000b",
        "\u2028",
        "one\r\ntwo\n\nthree",
        "data: x",
        "x" * 100_000,
    ]
    async with running_hub() as hub, puppet(version, hub.url, "batch+sse") as client:
        async with open_peer(hub.url) as publisher:
            sub = await client.subscribe("stream.onTaskProgress", TASK)
            await started(sub)
            for text in texts:
                await publisher.publish(TOPIC, progress("t", 1, text))
            await sub.until(lambda sub: len(sub.data) == len(texts))
            assert [event["message"] for event in sub.data] == texts


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────


@EACH_V11
async def test_good_connection_params_let_the_subscriber_in(version: V11) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, "batch+sse", connectionParams={"token": "good"}) as client:
            await started(await client.subscribe("stream.onSystemEvent"))


@EACH_V11
async def test_refused_params_are_final_and_say_why(version: V11) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, "batch+sse", connectionParams={"token": "bad"}) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: sub.errors)
            assert [error["code"] for error in sub.errors] == ["UNAUTHORIZED"]


@EACH_V11
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer bad"}], ids=["no token", "a bad one"])
async def test_others_are_not_let_in(version: V11, headers: dict[str, str]) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, "batch+sse", headers=headers) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: sub.errors)
            assert "started" not in sub.events


@EACH_V11
async def test_a_token_in_a_header_lets_the_subscriber_in(version: V11) -> None:
    headers = {"authorization": "Bearer good"}
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, "batch+sse", headers=headers) as client:
            await started(await client.subscribe("stream.onSystemEvent"))


@EACH_V11
async def test_who_finds_the_hub_full_waits_and_is_let_in_later(version: V11) -> None:
    config = Config(server=Server(port=0, max_connections=1))
    async with running_hub(config) as hub, puppet(version, hub.url, "batch+sse") as client:
        async with open_peer(hub.url) as first:
            await first.publish("task.completed", completed("t"))
            sub = await client.subscribe("stream.onTaskCompleted", TASK)
            await sub.until(lambda sub: "connecting" in states(sub)[1:])
        await sub.until(lambda sub: "complete" in sub.events)
        assert len(sub.data) == 1
        assert sub.errors == []


# ── coming back ──────────────────────────────────────────────────────────────────────────────────────────


@EACH_V11
async def test_an_id_in_the_input_begins_after_it(version: V11) -> None:
    async with running_hub() as hub, open_peer(hub.url) as publisher:
        ids = await publish(publisher, range(10))
        async with puppet(version, hub.url, "batch+sse") as client:
            sub = await client.subscribe("tracked.onTaskProgress", {**TASK, "lastEventId": ids[3]})
            await sub.until(lambda sub: len(sub.data) == 6)
            assert [event["id"] for event in sub.data] == ids[4:]


@EACH_V11
@EACH_TWIN
async def test_cut_between_events_nothing_is_lost_and_nothing_comes_twice(version: V11, path: str) -> None:
    async with running_hub() as hub, severing_proxy(hub.port) as proxy, open_peer(hub.url) as publisher:
        async with puppet(version, f"ws://127.0.0.1:{proxy.port}", "batch+sse") as client:
            sub = await client.subscribe(path, TASK)
            await started(sub)
            for round_ in range(3):
                await publish(publisher, range(round_ * 10, round_ * 10 + 5))
                await sub.until(lambda sub: len(sub.data) == round_ * 10 + 5)  # noqa: B023 - awaited here
                proxy.cut()
                await publish(publisher, range(round_ * 10 + 5, round_ * 10 + 10))
                await started(sub, round_ + 2)
                await sub.until(lambda sub: len(sub.data) == round_ * 10 + 10)  # noqa: B023 - awaited here
            await publisher.publish("task.completed", completed("t"))
            await sub.until(lambda sub: "complete" in sub.events)
            assert numbers_seen(sub) == list(range(30))
            assert sub.errors == []


CUTS, MOST_BYTES, EVENTS = 10, 20_000, 1000


@EACH_V11
async def test_cut_at_any_byte_tracked_events_are_seen_once_in_order(version: V11) -> None:
    seed = SystemRandom().randrange(2**32)
    chance = Random(seed)
    allowances = chain((chance.randint(0, MOST_BYTES) for _ in range(CUTS)), repeat(None))
    with trio.fail_after(DEADLINE_S):
        async with running_hub() as hub, open_peer(hub.url) as publisher:
            ids = await publish(publisher, range(EVENTS))
            async with severing_proxy(hub.port, lambda: next(allowances)) as proxy:
                async with puppet(version, f"ws://127.0.0.1:{proxy.port}", "batch+sse") as client:
                    sub = await client.subscribe("tracked.onTaskProgress", {**TASK, "replay": "all"})
                    await publisher.publish("task.completed", completed("t"))
                    await sub.until(lambda sub: "complete" in sub.events)
                    assert [event["id"] for event in sub.data] == ids, f"seed {seed}"
                    assert proxy.cuts > 0
                    assert sub.errors == []


async def test_killed_again_and_again_a_hub_keeps_its_word_to_a_subscriber_over_sse(tmp_path: Path) -> None:
    toml = sqlite_at(tmp_path / "hub.db")
    seed = SystemRandom().randrange(2**32)
    chance, publisher = Random(seed), Publisher("t")
    port = "0"
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path, toml) as hub:
            port = hub.port
        async with puppet("v11", f"ws://127.0.0.1:{port}", "batch+sse") as client:
            sub = await client.subscribe("tracked.onEvent", {"topics": [TOPIC], "replay": "all"})
            for round_ in range(1, 6):
                async with serving(tmp_path, toml, port=port) as hub:
                    await started(sub, round_)
                    await killed_while_publishing(hub, publisher, chance.randint(1, 500))
            async with serving(tmp_path, toml, port=port) as hub:
                await one_more(hub)
                kept = await history(hub.url, TOPIC)
                await sub.until(lambda sub: sub.data and sub.data[-1]["id"] == kept[-1]["id"])
    assert sub.errors == []
    check(publisher, kept[:-1], [event["data"] for event in sub.data[:-1]], f"seed {seed}")


async def one_more(hub: Hub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.publish(TOPIC, progress("t", 1, "the last"))


@EACH_V11
@EACH_TWIN
async def test_a_drain_and_a_new_hub_cost_a_subscriber_nothing(
    version: V11, path: str, tmp_path: Path
) -> None:
    toml = sqlite_at(tmp_path / "hub.db")
    async with serving(tmp_path, toml) as hub:
        async with puppet(version, hub.url, "batch+sse") as client:
            sub = await client.subscribe(path, TASK)
            await started(sub)
            async with open_peer(hub.url) as publisher:
                await publish(publisher, range(5))
            await sub.until(lambda sub: len(sub.data) == 5)
            ended = await hub.stop()
            assert ended.status == 0
            async with serving(tmp_path, toml, port=hub.port) as again, open_peer(again.url) as publisher:
                await publish(publisher, range(5, 10))
                await publisher.publish("task.completed", completed("t"))
                await sub.until(lambda sub: "complete" in sub.events)
            assert numbers_seen(sub) == list(range(10))
            assert sub.errors == []
