"""Subscriptions as @trpc/client's callers meet them: plain or tracked, completed, refused, stopped."""

from __future__ import annotations

import pytest

from tests.clients.puppet import VERSIONS, Version, puppet
from tests.running import completed, gates_made, open_peer, progress, running_hub

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)


@EACH_VERSION
async def test_plain_events_come_plain_and_their_tracked_twins_with_their_ids(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url) as client, open_peer(hub.url) as publisher:
        plain = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
        tracked = await client.subscribe("tracked.onTaskProgress", {"taskId": "t"})
        for sub in (plain, tracked):
            await sub.until(lambda sub: "started" in sub.events)
        ids = [await publisher.publish("task.progress", progress("t", number)) for number in range(5)]
        await publisher.publish("task.completed", completed("t"))
        for sub in (plain, tracked):
            await sub.until(lambda sub: "complete" in sub.events)
        assert [event["progress"] for event in plain.data] == list(range(5))
        assert [event["id"] for event in tracked.data] == ids
        assert [event["data"] for event in tracked.data] == plain.data


@EACH_VERSION
async def test_a_refused_subscription_is_told_once_and_is_over(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url) as client:
        wrong = await client.subscribe("stream.onTaskProgress", {"taskId": 7})
        missing = await client.subscribe("stream.onNothing", {})
        for sub, code in ((wrong, "BAD_REQUEST"), (missing, "NOT_FOUND")):
            await sub.until(lambda sub: sub.errors)
            assert [error["code"] for error in sub.errors] == [code]
            assert "started" not in sub.events
        assert (await client.query("hub.health"))["status"] == "ok"


@EACH_VERSION
async def test_after_an_unsubscribe_the_hub_sends_no_more(version: Version) -> None:
    with gates_made() as gates:
        async with running_hub() as hub, puppet(version, hub.url) as client, open_peer(hub.url) as publisher:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: "started" in sub.events)
            await client.unsubscribe(sub)
            await sub.until(lambda sub: "complete" in sub.events)
            assert (await client.query("hub.health"))["status"] == "ok"  # said after the stop
            assert all(session.conversation.open_subscriptions == 0 for session in gates[0]._sessions)
            await publisher.publish("system.provider.status", {"type": "provider.status", "payload": 1})
            assert sub.data == []


@EACH_VERSION
async def test_many_subscriptions_of_one_tick_are_one_batch_and_each_gets_its_own(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url) as client, open_peer(hub.url) as publisher:
        subs = [
            await client.subscribe("stream.onTaskProgress", {"taskId": f"t{number}"}) for number in range(20)
        ]
        for sub in subs:
            await sub.until(lambda sub: "started" in sub.events)
        for number in range(20):
            await publisher.publish("task.progress", progress(f"t{number}", number))
        for number, sub in enumerate(subs):
            await sub.until(lambda sub: sub.data)
            assert [event["progress"] for event in sub.data] == [number]


@EACH_VERSION
async def test_text_of_every_kind_arrives_as_it_was(version: Version) -> None:
    texts = ["", "ümläut", "日本", "😀", "a\u0000b", "line\u2028separator", '"quoted" \\ back', "x" * 100_000]
    async with running_hub() as hub, puppet(version, hub.url) as client, open_peer(hub.url) as publisher:
        sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
        await sub.until(lambda sub: "started" in sub.events)
        for text in texts:
            await publisher.publish("task.progress", progress("t", 1, text))
        await sub.until(lambda sub: len(sub.data) == len(texts))
        assert [event["message"] for event in sub.data] == texts
