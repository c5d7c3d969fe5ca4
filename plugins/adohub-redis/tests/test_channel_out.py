"""What hubs say on the channel: each event once, in order, whichever of them come and go."""

from __future__ import annotations

import json

import structlog.testing
import trio
from adohub_redis import form
from adohub_redis.testing import Server, partition
from adohub_redis.testing.channel import a_hub, a_stranger, said, whose_turn


async def test_each_event_is_said_once_in_order_however_many_hubs_mirror(server: Server) -> None:
    state = {"garden.state": 10}
    async with a_stranger(server) as listener, a_stranger(server) as stranger:
        await listener.listen()
        async with (
            a_hub(server, mirror=True, state_keys=state) as one,
            a_hub(server, mirror=True, state_keys=state) as other,
        ):
            await one.publish("task.progress", {"taskId": "t", "progress": 5})
            await other.publish("garden.state", {"key": "k"})
            await other.publish("worker.command", {"workerId": "w"})
            await other.publish("agent.output", {"type": "stdout"})
            assert [json.loads(text) for text in await listener.hears(2)] == [
                {"type": "task.progress", "taskId": "t", "progress": 5},
                {"type": "agent.output", "payload": {"type": "stdout"}},
            ]
            await stranger.say(said(0))
            [text] = await listener.hears(1)
            assert text.encode() == said(0), "as the stranger has said it"
            while len(await one.events()) < 5:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)
            for n in range(100):
                await (one if n % 2 else other).publish("garden.tock", {"n": n})
            heard = await listener.hears(100)
            assert [json.loads(text)["n"] for text in heard] == list(range(100)), "and nothing in between"
            assert all(form.is_ours(text.encode()) for text in heard)
            assert len(await one.events()) == 105, "and none of it has come back"


async def test_a_hub_that_takes_over_the_mirror_says_nothing_twice_and_leaves_nothing_out(
    server: Server,
) -> None:
    async with partition(server.port) as link, a_stranger(server) as listener, a_hub(server) as hub:
        await listener.listen()
        async with a_hub(server, port=link.port, mirror=True):
            first = await whose_turn(server, "mirror")
            async with a_hub(server, mirror=True):
                for n in range(100):
                    await hub.publish("garden.tick", {"n": n})
                    if n == 50:
                        link.stop_forwarding()
                assert [json.loads(text)["n"] for text in await listener.hears(100)] == list(range(100))
                assert await whose_turn(server, "mirror") != first
                link.heal()
                await hub.publish("garden.tick", {"n": 100})
            await hub.publish("garden.tick", {"n": 101})
            assert [json.loads(text)["n"] for text in await listener.hears(2)] == [100, 101]


async def test_a_mirror_that_comes_back_says_what_it_has_missed(server: Server) -> None:
    async with a_stranger(server) as listener, a_hub(server) as hub:
        await listener.listen()
        await hub.publish("garden.tick", {"n": 0})
        for n in (1, 3):
            async with a_hub(server, mirror=True):
                await hub.publish("garden.tick", {"n": n})
                heard = [json.loads(text)["n"] for text in await listener.hears(1 if n == 1 else 2)]
                assert heard == ([1] if n == 1 else [2, 3]), "nothing of before there was a mirror"
            await hub.publish("garden.tick", {"n": n + 1})


async def test_a_new_epoch_is_said_from_its_beginning(server: Server) -> None:
    async with a_stranger(server) as listener, a_hub(server, mirror=True) as hub:
        await listener.listen()
        await hub.publish("garden.tick", {"n": 0})
        await listener.hears(1)
        await server.command("FLUSHALL")
        for n in (1, 2, 3):
            await hub.publish("garden.tick", {"n": n})
        assert [json.loads(text)["n"] for text in await listener.hears(3)] == [1, 2, 3]


async def test_a_user_who_may_not_hear_the_channel_has_a_hub_all_the_same(server: Server) -> None:
    await server.command("ACL", "SETUSER", "deaf", "on", "nopass", "~{ado}:*", "+@all")
    server.login = "deaf:any@"
    with structlog.testing.capture_logs() as log:
        async with a_hub(server, mirror=True) as hub:
            await hub.publish("garden.tick", {"n": 0})
            assert await hub.numbers(1) == [0]
            assert hub.storage.trouble() is None
            while len(log) < 2:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)
    told = [line for line in log if line["log_level"] == "warning" and line["channel"] == "ado:events"]
    assert {line["event"] for line in told} == {
        "the channel cannot be heard",
        "events are not published on the channel",
    }
    assert all("does not let this user" in line["error"] for line in told)
