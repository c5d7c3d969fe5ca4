"""The channel that anybody may publish on, with real hubs: one event each, and each event there once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from adohub_redis.testing import Server, valkey
from adohub_redis.testing.resp import Replies, request

from tests.cli.processes import Hub, completed, history, kept, output, progress, publish, serving
from tests.running import open_peer

DEADLINE_S = 60
MESSAGES = 400


@asynccontextmanager
async def hubs_over(server: Server, folder: Path, number: int, *, mirror: bool) -> AsyncIterator[list[Hub]]:
    toml = f"""
        [storage]
        engine = "redis"
        [storage.redis]
        url = "{server.url}"
        [plugin.redis]
        mirror = {str(mirror).lower()}
    """
    async with AsyncExitStack() as stack:
        hubs: list[Hub] = []
        for name in range(number):
            place = folder / f"hub{name}"
            place.mkdir()
            hubs.append(await stack.enter_async_context(serving(place, toml)))
        yield hubs


async def say(server: Server, topic: str, payload: dict[str, Any]) -> None:
    await server.command("PUBLISH", "ado:events", json.dumps({"type": topic, **payload}))


async def heard(replies: Replies) -> Any:
    """The next message that somebody who has subscribed is sent."""
    match await replies.answer():
        case ["message", "ado:events", str(text)]:
            return json.loads(text)
        case other:
            raise AssertionError(f"it hears {other}")


async def with_the_turn(server: Server, hubs: list[Hub]) -> Hub:
    """Which of the hubs takes in what is said."""
    while not (holder := await server.command("GET", "{ado}:turn:intake")):  # noqa: ASYNC110
        await trio.sleep(0.01)
    for hub in hubs:
        async with open_peer(hub.url) as peer:
            if (await peer.query("hub.health"))["instance"] == holder:
                return hub
    raise AssertionError(f"{holder} is none of them")


async def test_what_anybody_says_reaches_subscribers_of_every_hub_once(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, hubs_over(server, tmp_path, 2, mirror=False) as hubs:
            async with open_peer(hubs[0].url) as one, open_peer(hubs[1].url) as other:
                for peer in (one, other):
                    await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
                await server.command("PUBLISH", "ado:events", "no event")
                await say(server, "task.progress", progress("t", 101))
                for percent in range(100):
                    await say(server, "task.progress", progress("t", percent))
                await say(server, "task.completed", completed("t"))
                for peer in (one, other):
                    results = [message["result"] for message in await peer.hear_all(101)]
                    assert [result["data"]["progress"] for result in results[:-1]] == list(range(100))
                    assert results[-1]["type"] == "stopped"
            told = [line["reason"] for hub in hubs for line in hub.log if "reason" in line]
            assert sorted(told) == [
                "it is no JSON",
                "there is no such topic, or it does not allow this payload",
            ]


async def test_a_hub_that_dies_while_others_speak_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, hubs_over(server, tmp_path, 3, mirror=False) as hubs:
            doomed = await with_the_turn(server, hubs)
            for number in range(MESSAGES):
                await say(server, "task.progress", progress(f"t{number}", 1))
                if number == MESSAGES // 2:
                    await doomed.kill()
            survivor = next(hub for hub in hubs if hub is not doomed)
            events = await kept(survivor.url, MESSAGES, "task.progress")
            assert [event["key"] for event in events] == [f"t{number}" for number in range(MESSAGES)]
            await say(server, "task.completed", completed("t0"))
            await kept(survivor.url, 1, "task.completed")
            assert len(await history(survivor.url, "task.progress")) == MESSAGES


async def test_what_hubs_publish_is_said_there_once_and_comes_back_to_none(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, hubs_over(server, tmp_path, 2, mirror=True) as hubs:
            async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
                replies = Replies(stream)
                await stream.send_all(request("SUBSCRIBE", "ado:events"))
                await replies.answer()
                for number in range(50):
                    await publish(hubs[number % 2].url, ("task.progress", progress(f"t{number}", number)))
                await publish(hubs[0].url, ("agent.output", output("t", "hello")))
                await say(server, "task.completed", completed("t"))
                await kept(hubs[0].url, 52, "**")
                texts = [await heard(replies) for _ in range(52)]
                events = await history(hubs[1].url, "**")
                assert len(events) == 52
                assert texts[:50] == [{"type": one["topic"], **one["payload"]} for one in events[:50]]
                rest = {text["type"]: text for text in texts[50:]}
                assert rest["agent.output"] == {"type": "agent.output", "payload": events[50]["payload"]}
                assert rest["task.completed"] == {"type": "task.completed", **completed("t")}
