"""Several hubs on one channel: each message is one event, each event is said once, whoever comes and goes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing
from adohub_redis import form, storage
from adohub_redis.channel import YIELD_S
from adohub_redis.intake import BATCH_MESSAGES
from adohub_redis.server import LEASE_S
from adohub_redis.storage import open_redis
from adohub_redis.tape import Tape
from adohub_redis.testing import Cluster, Replicated, Server, cluster, partition, replicated, valkey
from adohub_redis.testing.resp import Replies, request
from attrs import define, field

from adohub import Draft, Event, PeerError, Publish, Selection, Source, Storage, StorageError, StorageSettings

DEADLINE_S = 20.0
EVERYTHING = Selection(["**"])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with valkey(tmp_path) as server:
        yield server


@define(eq=False)
class Hub:
    """The engine, with its sources running. What they publish goes to storage if `judge` lets it."""

    storage: Storage
    instance: str
    judge: Callable[[str], Awaitable[None]]
    running: trio.CancelScope = field(factory=trio.CancelScope)
    ended: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        with self.running:
            async with trio.open_nursery() as nursery:
                for source in self.storage.sources():
                    nursery.start_soon(source.run, self.publisher(source))
        self.ended.set()

    async def end(self) -> None:
        """End its sources, as a hub that drains."""
        self.running.cancel()
        await self.ended.wait()

    def publisher(self, source: Source) -> Publish:
        def publish(
            topic: str, payload: object, /, *, idempotency_key: str | None = None
        ) -> Coroutine[Any, Any, str]:
            body = json.dumps(payload, separators=(",", ":")).encode()
            draft = Draft(topic, None, body, "", f"source:{source.name}", idempotency_key)
            return self._publish(draft)

        return publish

    async def _publish(self, draft: Draft) -> str:
        await self.judge(draft.topic)
        receipts = await self.storage.append([draft])
        return str(receipts[0].position)

    async def publish(self, topic: str, payload: Mapping[str, Any] | None = None) -> None:
        """As a client of the hub."""
        await self.storage.append([Draft(topic, None, json.dumps(payload or {}).encode(), "")])

    async def events(self) -> list[Event]:
        """All that there is."""
        page = await self.storage.read(EVERYTHING, self.storage.tail(), 100_000)
        assert not page.more
        return list(page.events)

    async def numbers(self, enough: int) -> list[int]:
        """What the events say, once there are so many."""
        while len(found := await self.events()) < enough:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.01)
        return [event.payload["n"] for event in found]


async def lenient(topic: str) -> None:
    """A hub that takes anything."""
    await trio.lowlevel.checkpoint()


_instances = count()


@asynccontextmanager
async def a_hub(
    server: Server | Cluster | Replicated,
    *,
    port: int = 0,
    mirror: bool = False,
    judge: Callable[[str], Awaitable[None]] = lenient,
    state_keys: Mapping[str, int] | None = None,
    window_s: float = 300.0,
) -> AsyncIterator[Hub]:
    """A hub, which reaches a server by `port` if told so, with a deadline for all that happens inside it."""
    settings = StorageSettings(
        max_events=100_000,
        max_age_s=3600,
        idempotency_window_s=window_s,
        table={
            "url": server.url_at(port) if port and isinstance(server, Server) else server.url,
            "prefix": "ado",
            "publish_timeout_ms": 2000,
            "wait_replicas": 0,
        },
        state_keys=state_keys or {},
        instance=f"hub{next(_instances)}",
    )
    with trio.fail_after(DEADLINE_S):
        async with open_redis(settings, mirror=mirror) as opened, trio.open_nursery() as nursery:
            hub = Hub(opened, settings.instance, judge)
            nursery.start_soon(hub.run)
            yield hub
            await hub.end()


def said(n: int, topic: str = "garden.tick") -> bytes:
    return b'{"type":"%b","n":%d}' % (topic.encode(), n)


@define(eq=False)
class Stranger:
    """Somebody who knows Redis, and nothing of hubs."""

    stream: trio.SocketStream
    replies: Replies = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.replies = Replies(self.stream)

    async def say(self, *texts: bytes) -> None:
        """Publish them, in order."""
        for text in texts:
            await self.stream.send_all(_publication(text))
        for _ in texts:
            await self.replies.answer()

    async def listen(self) -> None:
        await self.stream.send_all(request("SUBSCRIBE", "ado:events"))
        await self.replies.answer()

    async def hears(self, number: int) -> list[str]:
        """The next messages, as they are."""
        heard = []
        for _ in range(number):
            match await self.replies.answer():
                case ["message", "ado:events", str(text)]:
                    heard.append(text)
                case other:
                    pytest.fail(f"it hears {other}")
        return heard


def _publication(text: bytes) -> bytes:
    """PUBLISH, of octets."""
    return b"*3\r\n$7\r\nPUBLISH\r\n$10\r\nado:events\r\n$%d\r\n%b\r\n" % (len(text), text)


@asynccontextmanager
async def a_stranger(server: Server) -> AsyncIterator[Stranger]:
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        yield Stranger(stream)


async def whose_turn(server: Server, what: str = "intake", *, but: str | None = None) -> str:
    """The hub whose turn it is, once it is somebody's, though not that one's."""
    while (holder := await server.command("GET", f"{{ado}}:turn:{what}")) in (None, but):  # noqa: ASYNC110
        await trio.sleep(0.01)
    return str(holder)


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


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


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


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


# ── neither ──────────────────────────────────────────────────────────────────────────────────────────


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
