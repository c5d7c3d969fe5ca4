"""A session says what the tRPC WebSocket protocol says, in the order in which it was asked."""

from __future__ import annotations

from typing import Any

import pytest

from adohub.config import Config, DeclaredChannel, Keepalive, Server, Storage
from adohub.net.session import CALLS_IN_FLIGHT
from tests.net import raw
from tests.net.strangers import Patience, strangers
from tests.running import Refused, completed, gates_made, open_peer, progress, request, running_hub, until

IDS = [1, 0, -7, 2**53, 1.5, "1", "a-b", ""]


# ── ids and tags ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("id_", IDS, ids=repr)
async def test_an_id_of_any_kind_is_echoed_in_its_own_kind(id_: Any) -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.tell(request(id_, "query", "hub.health"))
        answer = (await peer.hear())["id"]
        assert (answer, type(answer)) == (id_, type(id_))
        await peer.tell(request(id_, "subscription", "stream.onSystemEvent"))
        await peer.tell({"id": id_, "method": "subscription.stop"})
        for kind in ("started", "stopped"):
            message = await peer.hear()
            assert message["result"] == {"type": kind}
            assert (message["id"], type(message["id"])) == (id_, type(id_))


async def test_jsonrpc_is_echoed_in_every_frame_of_the_request_that_said_it_and_in_no_other() -> None:
    def rpc(*arguments: Any) -> dict[str, Any]:
        return {**request(*arguments), "jsonrpc": "2.0"}

    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.tell(rpc(1, "subscription", "stream.onTaskProgress", {"taskId": "t"}))
        await peer.tell(rpc(2, "query", "hub.health"))
        await peer.tell(rpc(3, "query", "no.such"))
        await peer.tell(
            rpc(4, "mutation", "events.publish", {"topic": "task.completed", "payload": completed("t")})
        )
        await peer.tell(request(5, "query", "hub.health"))
        heard = await peer.hear_all(6)
        assert {message["id"] for message in heard} == {1, 2, 3, 4, 5}
        assert [message["result"]["type"] for message in heard if message["id"] == 1] == [
            "started",
            "stopped",
        ]
        assert all((message.get("jsonrpc") == "2.0") == (message["id"] != 5) for message in heard)


async def test_the_same_id_may_be_a_query_and_a_subscription_at_once() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onSystemEvent")
        assert (await peer.ask(request(1, "query", "hub.health")))["result"]["data"]["status"] == "ok"


# ── batches and order ────────────────────────────────────────────────────────────────────────────────────


async def test_a_batch_is_answered_one_message_each() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.tell([request(number, "query", "hub.health") for number in range(5)])
        assert [message["id"] for message in await peer.hear_all(5)] == [0, 1, 2, 3, 4]


async def test_an_empty_batch_is_answered_with_nothing() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.tell([])
        assert await peer.heard_before_pong() == []


async def test_pong_comes_after_everything_that_was_answered_before() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.tell([request(number, "query", "hub.info") for number in range(100)])
        assert [message["id"] for message in await peer.heard_before_pong()] == list(range(100))


async def test_pong_comes_after_the_backlog_of_a_peer_that_did_not_read() -> None:
    async with running_hub() as hub, open_peer(hub.url, receive_buffer_bytes=4096) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        async with open_peer(hub.url) as publisher:
            ids = [
                await publisher.publish("task.progress", progress("t", 1, "x" * 20_000)) for _ in range(10)
            ]
        assert [message["result"]["id"] for message in await peer.heard_before_pong()] == ids


async def test_calls_made_in_order_begin_in_order() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        for number in range(300):
            publish = {"topic": "task.progress", "payload": progress("t", 1, str(number))}
            await peer.tell(request(number, "mutation", "events.publish", publish))
        answers = {(message := await peer.hear())["id"]: message["result"]["data"]["id"] for _ in range(300)}
        assert [answers[number] for number in range(300)] == sorted(answers.values())
        history = await peer.query("events.history", {"topics": ["**"], "limit": 1000})
        assert [event["payload"]["message"] for event in history["events"]] == [str(n) for n in range(300)]


async def test_a_call_that_takes_time_holds_up_no_other() -> None:
    patience = Patience()
    async with running_hub(Config(server=Server(port=0)), strangers(patience)) as hub:
        async with open_peer(hub.url) as peer:
            await peer.tell([request("slow", "query", "test.wait"), request("quick", "query", "hub.health")])
            assert (await peer.hear())["id"] == "quick"
            patience.let_go.set()
            assert (await peer.hear())["id"] == "slow"


async def test_so_many_calls_may_run_and_the_next_ones_wait_their_turn() -> None:
    patience = Patience()
    async with running_hub(Config(server=Server(port=0)), strangers(patience)) as hub:
        async with open_peer(hub.url) as peer, open_peer(hub.url) as other:
            await peer.tell([request(number, "query", "test.wait") for number in range(CALLS_IN_FLIGHT + 50)])
            while patience.begun < CALLS_IN_FLIGHT:
                await other.is_served()
            await other.is_served()
            assert patience.begun == CALLS_IN_FLIGHT
            patience.let_go.set()
            heard = await peer.hear_all(CALLS_IN_FLIGHT + 50)
            assert sorted(message["id"] for message in heard) == list(range(CALLS_IN_FLIGHT + 50))


async def test_a_peer_that_leaves_its_calls_unanswered_leaves_nothing_behind() -> None:
    """Also no coroutine that was made and never awaited: that is a warning, and warnings fail."""
    patience = Patience()
    impatient = Config(server=Server(port=0), keepalive=Keepalive(ping_ms=100, pong_wait_ms=100))
    with gates_made() as gates:
        async with running_hub(impatient, strangers(patience)) as hub:
            stream = await raw.upgraded(hub.port)
            batch = [request(number, "query", "test.wait") for number in range(CALLS_IN_FLIGHT + 50)]
            await stream.send_all(raw.text(batch))
            await until(lambda: patience.begun == CALLS_IN_FLIGHT)
            raw.reset(stream)
            await until(lambda: gates[0].connections == 0)


# ── subscriptions ────────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_stop_nothing_more_comes_and_the_id_is_free() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        await peer.tell({"id": 1, "method": "subscription.stop"})
        assert await peer.hear() == {"id": 1, "result": {"type": "stopped"}}
        await peer.publish("task.progress", progress("t", 1))
        assert await peer.heard_before_pong() == []
        assert await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "other"}) == {"type": "started"}


async def test_a_stop_of_what_is_not_open_is_ignored() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.tell({"id": 5, "method": "subscription.stop"})
        assert await peer.heard_before_pong() == []


async def test_every_data_message_carries_the_event_id_beside_the_plain_payload() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        await peer.subscribe(2, "tracked.onTaskProgress", {"taskId": "t"})
        await peer.subscribe(3, "stream.onEvent", {"topics": ["task.*"]})
        event_id = await peer.publish("task.progress", progress("t", 10))
        plain, tracked, whole = [(await peer.answer_to(number))["result"] for number in (1, 2, 3)]
        assert [result["id"] for result in (plain, tracked, whole)] == [event_id] * 3
        assert plain["data"] == {**progress("t", 10), "timestamp": whole["data"]["timestamp"]}
        assert tracked["data"] == {"id": event_id, "data": plain["data"]}
        assert whole["data"] == {
            "id": event_id,
            "topic": "task.progress",
            "key": "t",
            "payload": plain["data"],
            "timestamp": plain["data"]["timestamp"],
        }


async def test_a_resume_goes_on_exactly_after_its_position_and_says_so() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        first, *rest = [await peer.publish("task.progress", progress("t", number)) for number in range(4)]
        started = await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"}, last_event_id=first)
        assert started == {"type": "started", "recovered": True}
        assert [message["result"]["id"] for message in await peer.hear_all(3)] == rest
        rest.append(await peer.publish("task.progress", progress("t", 5)))
        assert (await peer.answer_to(1))["result"]["id"] == rest[-1]


async def test_the_position_may_also_be_in_the_input() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        first, second = [await peer.publish("task.progress", progress("t", number)) for number in range(2)]
        started = await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t", "lastEventId": first})
        assert started == {"type": "started", "recovered": True}
        assert (await peer.hear())["result"]["id"] == second


UNKNOWN_POSITIONS = ["", "never an id", "deadbeef-0000000000000001", "7", "\u0000"]


@pytest.mark.parametrize("position", UNKNOWN_POSITIONS, ids=repr)
async def test_a_resume_after_an_unknown_position_says_so_and_gets_what_is_left(position: str) -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        ids = [await peer.publish("task.progress", progress("t", number)) for number in range(3)]
        started = await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"}, last_event_id=position)
        assert started == {"type": "started", "recovered": False}
        assert [message["result"]["id"] for message in await peer.hear_all(3)] == ids


async def test_a_resume_after_what_is_no_longer_kept_says_so_and_gets_what_is_left() -> None:
    async with running_hub(Config(server=Server(port=0), storage=Storage(max_events=5))) as hub:
        async with open_peer(hub.url) as peer:
            ids = [await peer.publish("task.progress", progress("t", number)) for number in range(12)]
            started = await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"}, last_event_id=ids[0])
            assert started == {"type": "started", "recovered": False}
            assert [message["result"]["id"] for message in await peer.hear_all(5)] == ids[-5:]


async def test_a_channel_may_refuse_to_resume_over_a_gap() -> None:
    strict = DeclaredChannel(topics=("deploy.release",), key="env", on_gap="error")
    config = Config(server=Server(port=0), channels={"deploy.onRelease": strict})
    async with running_hub(config) as hub, open_peer(hub.url) as peer:
        with pytest.raises(Refused) as refused:
            await peer.subscribe(1, "deploy.onRelease", {"env": "live"}, last_event_id="long-ago")
        assert refused.value.code == "PRECONDITION_FAILED"
        kept = await peer.publish("deploy.release", {"env": "live"})
        started = await peer.subscribe(1, "deploy.onRelease", {"env": "live"}, last_event_id=kept)
        assert started == {"type": "started", "recovered": True}


async def test_a_connection_that_is_gone_takes_its_subscriptions_with_it() -> None:
    with gates_made() as gates:
        async with running_hub() as hub, open_peer(hub.url) as other:
            stream = await raw.upgraded(hub.port)
            await stream.send_all(raw.text(request(1, "subscription", "stream.onSystemEvent")))
            await stream.receive_some()
            assert gates[0].connections == 2
            raw.reset(stream)
            await until(lambda: gates[0].connections == 1)
            await other.is_served()
