"""The calls of one HTTP request: begun in their order, answered together or each when it is done."""

from __future__ import annotations

import pytest
import structlog.testing
import trio
import trio.testing

from adohub import Procedure
from adohub.net import calls
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.listening import answered, got, posted, published, told
from tests.net.strangers import Patience, strangers
from tests.running import FREE_PORT, gates_made, until
from tests.running import running_hub as running


async def test_a_batch_is_answered_in_its_order_with_a_status_for_all() -> None:
    async with running() as hub, raw.asking(hub.port) as connection:
        fine = await connection.ask(got("hub.health,hub.info", {}, batch="1"))
        assert fine.status == 200
        health, info = (one["result"]["data"] for one in told(fine))
        assert ("uptime" in health, "topics" in info) == (True, True)
        mixed = await connection.ask(got("hub.health,nope,events.history", {"2": {"topics": []}}, batch="1"))
        assert mixed.status == 207
        assert [one.get("error", {}).get("data", {}).get("httpStatus") for one in told(mixed)] == [
            None,
            404,
            400,
        ]
        alike = await connection.ask(got("nope,nope", batch="1"))
        assert (alike.status, len(told(alike))) == (404, 2)


async def test_a_batch_of_mutations_is_published_in_its_order() -> None:
    async with running() as hub:
        inputs = {str(number): published("t", number) for number in range(50)}
        path = ",".join(["events.publish"] * 50)
        ids = [
            one["result"]["data"]["id"]
            for one in told(await answered(hub.port, posted(path, inputs, batch="1")))
        ]
        assert ids == sorted(ids)
        history = told(await answered(hub.port, got("events.history", {"topics": ["**"]})))
        assert [event["payload"]["progress"] for event in history["result"]["data"]["events"]] == list(
            range(50)
        )


@pytest.mark.parametrize("streamed_by", ["trpc-accept", "trpc-batch-mode"])
async def test_in_a_stream_no_call_waits_for_another(streamed_by: str) -> None:
    patience = Patience()
    headers = {streamed_by: "application/jsonl" if streamed_by == "trpc-accept" else "stream"}
    async with running(FREE_PORT, strangers(patience)) as hub, await raw.connected(hub.port) as stream:
        await stream.send_all(got("test.wait,hub.health,nope", headers=headers, batch="1"))
        received = b""
        while b"NOT_FOUND" not in received or b"uptime" not in received:
            received += await stream.receive_some()
        assert b"content-type: application/json" in received
        assert b'{"data":1}' not in received
        patience.let_go.set()
        while not received.endswith(b"0\r\n\r\n"):
            received += await stream.receive_some()
        assert b'{"data":1}' in received


async def test_a_call_that_takes_its_time_is_answered_when_it_is_done() -> None:
    patience = Patience()
    async with running(FREE_PORT, strangers(patience)) as hub, raw.asking(hub.port) as connection:
        async with trio.open_nursery() as nursery:

            async def let_go() -> None:
                await until(lambda: patience.begun == 2)
                patience.let_go.set()

            nursery.start_soon(let_go)
            both = await connection.ask(got("test.wait,test.wait", batch="1"))
        assert told(both) == [{"result": {"data": 1}}, {"result": {"data": 2}}]


async def test_a_call_under_way_is_answered_though_the_hub_drains() -> None:
    patience = Patience()
    async with running(FREE_PORT, strangers(patience)) as hub, raw.asking(hub.port) as connection:
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await until(lambda: patience.begun)
                hub.daemon.stop()
                patience.let_go.set()

            nursery.start_soon(stop)
            response = await connection.ask(got("test.wait"))
        assert told(response) == {"result": {"data": 1}}
        assert response.headers["connection"] == "close"
        assert await connection.is_over()


@pytest.mark.parametrize("headers", [{}, {"trpc-accept": "application/jsonl"}], ids=["whole", "lines"])
async def test_answers_that_are_too_long_together_are_refused_one_by_one(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MAX_ANSWER_BYTES", 200)
    async with running() as hub:
        response = await answered(hub.port, got("hub.health," * 4 + "hub.health", headers=headers, batch="1"))
        assert response.body.count(b"uptime") == 2
        assert response.body.count(b"PAYLOAD_TOO_LARGE") == 3


async def test_who_leaves_in_the_middle_of_a_stream_is_no_incident() -> None:
    turns = [Patience() for _ in range(3)]
    waiting = [Procedure(f"wait.{name}", "query", turn.wait) for name, turn in zip("abc", turns, strict=True)]
    headers = {"trpc-accept": "application/jsonl"}
    with structlog.testing.capture_logs() as logs, gates_made() as gates:
        async with running(FREE_PORT, Contribution("turns", procedures=waiting)) as hub:
            stream = await raw.connected(hub.port)
            await stream.send_all(got("wait.a,wait.b,wait.c", headers=headers, batch="1"))
            await until(lambda: all(turn.begun for turn in turns))
            raw.reset(stream)
            for turn in turns:  # one finds out that the peer is gone, and the next meets it
                turn.let_go.set()
                await trio.testing.wait_all_tasks_blocked(0.01)
            await until(lambda: gates[0].connections == 0)
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def test_a_call_that_takes_too_long_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CALLS_S", 0.2)
    patience = Patience()
    async with running(FREE_PORT, strangers(patience)) as hub:
        response = await answered(hub.port, got("hub.health,test.wait", batch="1"))
        assert response.status == 207
        fine, late = told(response)
        assert fine["result"]["data"]["status"] == "ok"
        assert (late["error"]["data"]["code"], late["error"]["data"]["path"]) == ("TIMEOUT", "test.wait")
        patience.let_go.set()


async def test_of_a_long_batch_a_few_calls_are_in_flight_at_a_time() -> None:
    patience = Patience()
    count = 3 * calls.CALLS_IN_FLIGHT
    async with running(FREE_PORT, strangers(patience)) as hub, raw.asking(hub.port) as connection:
        async with trio.open_nursery() as nursery:

            async def let_go() -> None:
                await until(lambda: patience.begun == calls.CALLS_IN_FLIGHT)
                await trio.testing.wait_all_tasks_blocked()
                assert patience.begun == calls.CALLS_IN_FLIGHT
                patience.let_go.set()

            nursery.start_soon(let_go)
            response = await connection.ask(got(",".join(["test.wait"] * count), batch="1"))
        assert [one["result"]["data"] for one in told(response)] == list(range(1, count + 1))
