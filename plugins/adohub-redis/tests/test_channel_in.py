"""What strangers say on the channel: each message is one event, whichever hubs come and go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog.testing
import trio
import trio.testing
from adohub_redis import storage
from adohub_redis.channel import YIELD_S
from adohub_redis.intake import BATCH_MESSAGES
from adohub_redis.server import LEASE_S
from adohub_redis.tape import Tape
from adohub_redis.testing import Server, cluster, partition, replicated
from adohub_redis.testing.channel import a_hub, a_stranger, said, whose_turn

from adohub import PeerError, StorageError


async def test_each_message_is_one_event_in_order_however_many_hubs_there_are(server: Server) -> None:
    async with a_hub(server) as one, a_hub(server) as other, a_hub(server), a_stranger(server) as stranger:
        texts = [said(n) for n in range(3 * BATCH_MESSAGES)]
        await stranger.say(*texts, *texts[:5])
        expected = [*range(len(texts)), *range(5)]
        assert await one.numbers(len(expected)) == expected
        assert await other.numbers(len(expected)) == expected
        [first, *_] = await one.events()
        assert (first.topic, first.payload) == ("garden.tick", {"n": 0})


async def test_a_hub_that_ends_hands_over_to_one_that_has_heard_as_much(server: Server) -> None:
    async with (
        a_hub(server) as one,
        a_hub(server) as two,
        a_hub(server) as three,
        a_stranger(server) as stranger,
    ):
        hubs = {hub.instance: hub for hub in (one, two, three)}
        ended = None
        for first in (0, 50):
            with trio.fail_after(LEASE_S / 2):
                holder = await whose_turn(server, but=ended)
            await stranger.say(*map(said, range(first, first + 50)))
            await hubs[holder].end()
            ended = holder
        await stranger.say(*map(said, range(100, 150)))
        assert await three.numbers(150) == list(range(150))


async def test_who_takes_over_leaves_what_was_taken_in_long_ago(server: Server) -> None:
    async with a_stranger(server) as stranger, a_hub(server, window_s=0.2) as first:
        async with a_hub(server, window_s=0.2) as second:
            await stranger.say(*map(said, range(10)))
            await first.numbers(10)
            await trio.sleep(2.5)  # both have noted how far the first is, and Redis has forgotten the keys
            await first.end()
            await stranger.say(said(10))
            assert await second.numbers(11) == list(range(11))


@pytest.mark.parametrize("harm", ["parted", "cut"])
async def test_what_the_hub_with_the_turn_misses_another_takes_in(server: Server, harm: str) -> None:
    async with partition(server.port) as link, a_stranger(server) as stranger:
        async with a_hub(server, port=link.port) as doomed:
            first = await whose_turn(server)
            await stranger.say(*map(said, range(50)))
            await doomed.numbers(50)
            async with a_hub(server) as survivor:
                for n in range(50, 300):
                    await stranger.say(said(n))
                    if n == 100:
                        (link.stop_forwarding if harm == "parted" else link.sever)()
                assert await survivor.numbers(300) == list(range(300))
                assert await whose_turn(server) != first
                link.heal()
                await trio.sleep(YIELD_S + 2)  # both hear it now, and could take in what one has
                await stranger.say(said(300))
                assert await doomed.numbers(301) == list(range(301))


async def test_a_hub_alone_goes_on_when_its_connections_were_cut(server: Server) -> None:
    async with a_hub(server) as hub, a_stranger(server) as stranger:
        await stranger.say(said(0))
        await hub.numbers(1)
        await server.command("CLIENT", "KILL", "TYPE", "pubsub")
        while await server.command("PUBSUB", "NUMSUB", "ado:events") != ["ado:events", 1]:  # noqa: ASYNC110
            await trio.sleep(0.01)
        await stranger.say(said(1), said(2))
        assert await hub.numbers(3) == [0, 1, 2]


async def test_a_flushed_server_takes_nothing_in_twice(server: Server) -> None:
    async with a_hub(server) as one, a_hub(server) as other, a_stranger(server) as stranger:
        await stranger.say(*map(said, range(10)))
        await one.numbers(10)
        epoch = one.storage.head().epoch
        await server.command("FLUSHALL")
        while one.storage.head().epoch == epoch or other.storage.head().epoch == epoch:  # noqa: ASYNC110
            await trio.sleep(0.01)
        await stranger.say(*map(said, range(10, 20)))
        assert await other.numbers(10) == list(range(10, 20))


async def test_what_is_no_event_is_told_and_nothing_else_suffers(server: Server) -> None:
    async def judge(topic: str) -> None:
        await trio.lowlevel.checkpoint()
        if topic == "garden.secret":
            raise PeerError("BAD_REQUEST", "secret: is not allowed")
        if topic == "garden.broken":
            raise ZeroDivisionError

    secret = b'"hush":"s3cret"'
    bad = [
        b"s3cret",
        b"[]",
        b"{%b}" % secret,
        b'{"type":"garden.secret",%b}' % secret,
        b'{"type":"garden.broken"}',
    ]
    with structlog.testing.capture_logs() as log:
        async with a_hub(server, judge=judge) as hub, a_stranger(server) as stranger:
            await stranger.say(said(0), *bad, said(1), *bad, said(2))
            assert await hub.numbers(3) == [0, 1, 2]
    told = [line["reason"] for line in log if line["event"] == "messages of the channel were not taken in"]
    assert len(told) == len(set(told)) == len(bad), "a line for each reason"
    assert "s3cret" not in str(log)


@pytest.mark.parametrize("fault", [StorageError("full"), PeerError("SERVICE_UNAVAILABLE", "full")])
async def test_while_storage_takes_nothing_messages_wait(server: Server, fault: Exception) -> None:
    left = 3

    async def judge(topic: str) -> None:
        nonlocal left
        await trio.lowlevel.checkpoint()
        if topic == "garden.tock" and left:
            left -= 1
            raise fault

    async with a_hub(server, judge=judge) as hub, a_stranger(server) as stranger:
        await stranger.say(said(0, "garden.tock"), said(1), said(2))
        assert sorted(await hub.numbers(3)) == [0, 1, 2]
        await stranger.say(said(3))
        assert (await hub.numbers(4))[3:] == [3]


async def test_what_is_too_much_is_lost_from_its_beginning_and_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = trio.Event()

    async def judge(topic: str) -> None:
        await gate.wait()

    monkeypatch.setattr(storage, "Tape", lambda: Tape(most_messages=10))
    with structlog.testing.capture_logs() as log:
        async with a_hub(server, judge=judge) as hub, a_stranger(server) as stranger:
            await stranger.say(*map(said, range(100)))
            await trio.testing.wait_all_tasks_blocked(0.1)
            gate.set()
            await stranger.say(said(100))
            while 100 not in (found := await hub.numbers(1)):  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)
    assert found == sorted(found)
    assert {*range(91, 101)} <= {*found}
    assert any(line.get("reason") == "more has come than can be taken in" for line in log)


async def test_a_strangers_mark_is_no_mark(server: Server) -> None:
    async with a_hub(server) as hub, a_stranger(server) as stranger:
        for mark in ("", "0", "-1", "x", "9" * 100, "²"):
            await server.command("PUBLISH", "ado:marks", mark)
            await stranger.say(said(0))
        await stranger.say(said(1))
        assert await hub.numbers(7) == [0, 0, 0, 0, 0, 0, 1]


async def test_a_cluster_is_told_at_any_of_its_nodes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as nodes, a_hub(nodes, mirror=True) as hub, a_hub(nodes, mirror=True):
        for n, node in enumerate(nodes.primaries):
            async with a_stranger(node) as listener:
                await listener.listen()
                await node.command("PUBLISH", "ado:events", said(n).decode())
                assert (await hub.numbers(2 * n + 1))[-1] == n
                await hub.publish("garden.tock", {"n": -1})
                assert [json.loads(text)["n"] for text in await listener.hears(2)] == [n, -1]
        assert await hub.numbers(6) == [0, -1, 1, -1, 2, -1]


async def test_what_is_said_after_a_failover_is_taken_in(tmp_path: Path) -> None:
    async with replicated(tmp_path) as servers, a_hub(servers) as hub, a_hub(servers):
        primary = await servers.primary()
        await primary.command("PUBLISH", "ado:events", said(0).decode())
        await hub.numbers(1)
        primary = await servers.fail_over()
        heard_by: object = None
        while heard_by != ["ado:events", 2]:
            await trio.sleep(0.05)
            heard_by = await primary.command("PUBSUB", "NUMSUB", "ado:events")
        await primary.command("PUBLISH", "ado:events", said(1).decode())
        assert (await hub.numbers(2))[-1] == 1
