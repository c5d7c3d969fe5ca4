"""A peer that does not read costs the hub no more than its outbox may hold, and loses nothing by it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from adohub import Channel
from adohub.config import Config, Server
from adohub.hub.replays import CHUNK_BYTES
from adohub.net import session
from adohub.net.listener import UNSENT_BYTES
from adohub.net.outbox import REPLAY_BYTES, Outbox
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.running import Peer, completed, dial, gates_made, open_peer, progress, request, running_hub, until

OUTBOX_BYTES = 64 * 1024
EVENT_BYTES = 10_000
EVENTS = 2000
"""20 MB in all: several times what the kernel keeps for a connection."""

KERNEL_BYTES = 160 * 1024
"""What is under way to a peer with a small receive buffer, whatever the hub does."""

SMALL = Config(server=Server(port=0, outbox_bytes=OUTBOX_BYTES))
SLACK_BYTES = 2 * EVENT_BYTES * 10
"""What a flush and the frames beside it may add to a full outbox: ten events are published at a time here."""


async def publish(peer: Peer, count: int, outboxes: Sequence[Outbox] = ()) -> tuple[list[str], int]:
    """`count` events for the task "t": their ids, and the most that waited in any of `outboxes` meanwhile."""
    ids: list[str] = []
    most = 0
    while len(ids) < count:
        events = [
            {"topic": "task.progress", "payload": progress("t", 50, "x" * EVENT_BYTES)}
            for _ in range(min(10, count - len(ids)))
        ]
        ids += (await peer.mutate("events.publishMany", {"events": events}))["ids"]
        most = max([most, *(outbox.queued for outbox in outboxes)])
    return ids, most


async def test_who_does_not_read_catches_up_and_gets_every_event_once_in_order() -> None:
    with gates_made() as gates:
        async with running_hub(SMALL) as hub, open_peer(hub.url) as publisher:
            async with open_peer(hub.url, receive_buffer_bytes=4096) as slow:
                await slow.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
                outboxes = [session.outbox for session in gates[0]._sessions]
                ids, most = await publish(publisher, EVENTS, outboxes)
                assert OUTBOX_BYTES <= most <= OUTBOX_BYTES + SLACK_BYTES
                assert [message["result"]["id"] for message in await slow.hear_all(EVENTS)] == ids
                more, _ = await publish(publisher, 10, outboxes)
                assert [message["result"]["id"] for message in await slow.hear_all(10)] == more


async def test_who_reads_slowly_all_the_time_gets_every_event_once_in_order() -> None:
    async with running_hub(SMALL) as hub, open_peer(hub.url) as publisher:
        async with open_peer(hub.url, receive_buffer_bytes=4096) as slow, trio.open_nursery() as nursery:
            await slow.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
            ids: list[str] = []

            async def publish_all() -> None:
                ids.extend((await publish(publisher, EVENTS))[0])

            nursery.start_soon(publish_all)
            heard = []
            for _ in range(EVENTS):
                heard.append((await slow.hear())["result"]["id"])
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
        assert heard == ids


async def test_who_reads_a_byte_at_a_time_costs_no_more_than_its_outbox() -> None:
    """One byte for every ten events: it will never be through, and others get all of them meanwhile."""
    with gates_made() as gates:
        async with running_hub(SMALL) as hub, open_peer(hub.url) as publisher, open_peer(hub.url) as quick:
            await quick.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
            async with await dial(hub.url, receive_buffer_bytes=4096) as crawling:
                await crawling.send_all(raw.upgrade())
                wanted = request(1, "subscription", "stream.onTaskProgress", {"taskId": "t"})
                await until(lambda: len(gates[0]._sessions) == 3)
                await crawling.send_all(raw.text(wanted))
                session = list(gates[0]._sessions)[-1]
                await until(lambda: session.conversation.open_subscriptions == 1)
                for _ in range(EVENTS // 10):
                    ids, most = await publish(publisher, 10, [session.outbox])
                    assert most <= OUTBOX_BYTES + SLACK_BYTES
                    assert [message["result"]["id"] for message in await quick.hear_all(10)] == ids
                    assert len(await crawling.receive_some(1)) == 1
                assert session.outbox.queued > 0


async def test_a_pong_waits_behind_kilobytes_and_not_behind_all_that_is_to_come() -> None:
    """What lies between a PING and its PONG decides how slow a peer may be before it gives the hub up."""
    async with running_hub() as hub, open_peer(hub.url) as publisher:
        async with open_peer(hub.url, receive_buffer_bytes=4096) as slow:
            await slow.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
            await publish(publisher, EVENTS)
            await slow.hear_all(100)  # by now it replays, in the midst of a page
            for _ in range(5):
                before = sum(len(str(message)) for message in await slow.heard_before_pong())
                assert (
                    before <= REPLAY_BYTES + CHUNK_BYTES + 2 * UNSENT_BYTES + KERNEL_BYTES + 3 * EVENT_BYTES
                )
                await slow.hear_all(20)


async def test_a_slow_consumer_holds_up_no_other() -> None:
    async with running_hub(SMALL) as hub, open_peer(hub.url) as publisher:
        async with open_peer(hub.url, receive_buffer_bytes=4096) as slow, open_peer(hub.url) as quick:
            for peer in (slow, quick):
                await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
            for _ in range(EVENTS // 10):
                ids, _ = await publish(publisher, 10)
                assert [message["result"]["id"] for message in await quick.hear_all(10)] == ids


async def test_a_replay_is_paced_by_who_reads_it() -> None:
    with gates_made() as gates:
        async with running_hub(SMALL) as hub, open_peer(hub.url) as publisher:
            ids, _ = await publish(publisher, EVENTS)
            async with open_peer(hub.url, receive_buffer_bytes=4096) as slow:
                await slow.subscribe(1, "stream.onTaskProgress", {"taskId": "t", "replay": "all"})
                outboxes = [session.outbox for session in gates[0]._sessions]
                await publisher.is_served()
                heard = []
                for _ in range(EVENTS):
                    heard.append((await slow.hear())["result"]["id"])
                    assert max(outbox.queued for outbox in outboxes) <= OUTBOX_BYTES + SLACK_BYTES
                assert heard == ids


async def test_a_peer_that_asks_without_reading_is_read_no_further() -> None:
    """A reply is always taken, so it is the questions that must be held up: here some 30 MB are asked for."""
    with gates_made() as gates:
        async with running_hub(SMALL) as hub, open_peer(hub.url) as other:
            async with await raw.upgraded(hub.port) as stream, trio.open_nursery() as nursery:
                await until(lambda: len(gates[0]._sessions) == 2)
                greedy = list(gates[0]._sessions)[-1].outbox

                async def ask_on_and_on() -> None:
                    batch = raw.text([request(number, "query", "hub.info") for number in range(5000)])
                    await stream.send_all(batch * 4)

                nursery.start_soon(ask_on_and_on)
                await until(lambda: greedy.queued > OUTBOX_BYTES / 2)
                for _ in range(200):
                    await other.is_served()
                    assert greedy.queued <= OUTBOX_BYTES
                nursery.cancel_scope.cancel()


async def test_on_slow_disconnect_closes_with_1013_and_the_peer_resumes_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "CLOSE_HANDSHAKE_S", 20)  # however slow this machine, the peer reads in time
    strict = Contribution(
        "strict",
        channels=[Channel("strict.onProgress", topics=["task.progress"], key="taskId", on_slow="disconnect")],
    )
    async with running_hub(SMALL, strict) as hub, open_peer(hub.url) as publisher:
        async with open_peer(hub.url, receive_buffer_bytes=4096) as slow:
            await slow.subscribe(1, "strict.onProgress", {"taskId": "t"})
            ids, _ = await publish(publisher, EVENTS)
            heard = [message["result"]["id"] for message in await slow.heard_before_close()]
            assert await slow.closed() == (1013, "too slow; reconnect to resume")
        assert 0 < len(heard) < EVENTS
        assert heard == ids[: len(heard)]
        async with open_peer(hub.url) as back:
            started = await back.subscribe(1, "strict.onProgress", {"taskId": "t"}, last_event_id=heard[-1])
            assert started == {"type": "started", "recovered": True}
            rest = await back.hear_all(EVENTS - len(heard))
            assert [message["result"]["id"] for message in rest] == ids[len(heard) :]


async def test_a_hub_that_shares_no_frames_gives_its_peers_the_same() -> None:
    """`fan_out = "single"` puts the slow twin to work; what peers read does not tell."""
    heard = []
    for fan_out in ("shared", "single"):
        server = Server(port=0, fan_out=fan_out)
        async with running_hub(Config(server=server)) as hub, open_peer(hub.url) as publisher:
            async with open_peer(hub.url) as one, open_peer(hub.url) as other:
                for peer in (one, other):
                    await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
                ids, _ = await publish(publisher, 30)
                await publisher.publish("task.completed", completed("t"))
                said = [await peer.hear_all(31) for peer in (one, other)]
        assert said[0] == said[1]
        assert [message["result"].get("id") for message in said[0]] == [*ids, None]
        heard.append([message["result"]["type"] for message in said[0]])
    assert heard[0] == heard[1] == ["data"] * 30 + ["stopped"]
