"""Bad input has a clear answer each time, and disturbs nobody else on the hub."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing
import trio

from adohub import Authenticator, Credentials, Principal
from adohub.config import Config, Server
from adohub.errors import ErrorCode
from adohub.plugin.registry import Contribution
from adohub.wire.codes import CODES
from tests.net import raw
from tests.net.strangers import FAULTY_CALLS, SECRET, strangers
from tests.running import (
    FREE_PORT,
    Peer,
    Refused,
    RunningHub,
    completed,
    gates_made,
    open_peer,
    progress,
    request,
    running_hub,
    until,
)


@asynccontextmanager
async def hub_with_bystander(config: Config = FREE_PORT) -> AsyncIterator[RunningHub]:
    """A hub with a second connection, whose subscription and whose calls must go on undisturbed."""
    async with running_hub(config, strangers()) as hub, open_peer(hub.url) as bystander:
        await bystander.subscribe(1, "stream.onTaskProgress", {"taskId": "bystander"})
        yield hub
        event_id = await bystander.publish("task.progress", progress("bystander", 1))
        assert (await bystander.answer_to(1))["result"]["id"] == event_id
        await bystander.is_served()


def failure(id_: Any, code: ErrorCode, message: str, path: str | None = None) -> dict[str, Any]:
    """The error message as it should be on the wire."""
    data = {"code": code, "httpStatus": CODES[code].http_status, **({"path": path} if path else {})}
    return {"id": id_, "error": {"message": message, "code": CODES[code].number, "data": data}}


# ── what is no message ───────────────────────────────────────────────────────────────────────────────────

NO_JSON = ["", "{", "ping", "[1,", '{"id": 1,}', "NaN", '"\\ud83d', "\u0000", "[" * 5000]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: repr(text)[:12])
async def test_what_is_no_json_is_a_parse_error_and_the_connection_stays(text: str) -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        await peer.tell(text)
        answer = await peer.hear()
        assert answer == failure(None, "PARSE_ERROR", answer["error"]["message"])
        assert answer["error"]["message"]
        await peer.is_served()


QUERY = request(1, "query", "hub.health")
MALFORMED: dict[str, list[Any]] = {
    "Not an object": [7, None, "text", True, {**QUERY, "params": None}, {**QUERY, "params": []}],
    "Invalid procedure type": [{**QUERY, "method": "call"}, {**QUERY, "method": None}, {"id": 1}],
    "Invalid request id": [
        {},
        {**QUERY, "id": True},
        {**QUERY, "id": {}},
        {"method": "query", "params": {"path": "a"}},
    ],
    "Invalid string": [
        {**QUERY, "params": {}},
        {**QUERY, "params": {"path": 7}},
        {**QUERY, "params": {"path": "hub.health", "lastEventId": 7}},
    ],
    "Must be JSONRPC 2.0": [{**QUERY, "jsonrpc": "1.0"}, {**QUERY, "jsonrpc": None}],
    "`id` is required": [{**QUERY, "id": None}, {"id": None, "method": "subscription.stop"}],
}


@pytest.mark.parametrize(
    ("message", "text"), [(json.dumps(value), text) for text, values in MALFORMED.items() for value in values]
)
async def test_what_is_no_trpc_message_is_a_parse_error_that_says_why(message: str, text: str) -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        await peer.tell(message)
        assert await peer.hear() == failure(None, "PARSE_ERROR", text)
        await peer.is_served()


async def test_a_binary_frame_among_text_is_a_parse_error() -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        await peer.is_served()
        await peer.tell(json.dumps(QUERY).encode())
        answer = await peer.hear()
        assert answer == failure(None, "PARSE_ERROR", answer["error"]["message"])
        assert "text frames" in answer["error"]["message"]
        await peer.is_served()


async def test_of_a_batch_with_one_bad_element_nothing_runs() -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        event = {"topic": "task.progress", "payload": progress("t", 1)}
        await peer.tell([request(1, "mutation", "events.publish", event), {"id": 2}, QUERY])
        assert await peer.heard_before_pong() == [failure(None, "PARSE_ERROR", "Invalid procedure type")]
        assert (await peer.query("events.history", {"topics": ["**"], "key": "t"}))["events"] == []


# ── what is no request that can be served ────────────────────────────────────────────────────────────────

NO_PROCEDURE = [
    ("query", "no.such"),
    ("mutation", ""),
    ("subscription", "stream.onNothing"),
    ("query", "events.publish"),
    ("mutation", "hub.health"),
    ("subscription", "hub.health"),
    ("query", "stream.onEvent"),
    ("mutation", "stream.onEvent"),
]


@pytest.mark.parametrize(("method", "path"), NO_PROCEDURE)
async def test_an_unknown_path_and_one_of_another_type_are_not_found(method: str, path: str) -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        await peer.tell(request(1, method, path, {}))
        text = f'No "{method}"-procedure on path "{path}"'
        expected = failure(1, "NOT_FOUND", text)
        expected["error"]["data"]["path"] = path
        assert await peer.heard_before_pong() == [expected]
        await peer.is_served()


async def refusal_of(peer: Peer, method: str, path: str, input: Any) -> tuple[str, str]:
    """Code and message of the one answer to this request."""
    await peer.tell(request(9, method, path, input))
    answer = await peer.answer_to(9)
    assert answer["error"]["data"]["path"] == path
    assert await peer.heard_before_pong() == []
    return answer["error"]["data"]["code"], answer["error"]["message"]


def publishing(topic: Any, payload: Any) -> tuple[str, str, Any]:
    return "mutation", "events.publish", {"topic": topic, "payload": payload}


WRONG_INPUT = [
    (
        publishing("task.progress", {**progress("t", 1), "progress": "x"}),
        'progress: expected number, got "x"',
    ),
    (publishing("task.progress", progress("t", 101)), "progress: "),
    (publishing("task.progress", {"phase": "x"}), "taskId: required; phase: "),
    (publishing("task.completed", {**completed("t"), "artifacts": [{}]}), "artifacts[0].name: required"),
    (publishing("task.progress", "text"), "expected "),
    (publishing("task.progres", {}), "topic: "),
    (publishing("Not A Topic", {}), "topic: "),
    (publishing(7, {}), "topic: "),
    (("mutation", "events.publish", None), "topic: required"),
    (("mutation", "events.publish", [1]), "expected "),
    (("mutation", "events.publishMany", {"events": []}), "events: "),
    (("query", "events.history", {"topics": ["**"], "limit": "many"}), "limit: expected integer"),
    (("subscription", "stream.onTaskProgress", None), "taskId: required"),
    (("subscription", "stream.onTaskProgress", {"taskId": 5}), "taskId: expected string"),
    (("subscription", "stream.onTaskProgress", {"taskId": "t", "replay": "some"}), "replay: "),
    (("subscription", "stream.onEvent", {"topics": ["UPPER"]}), "topics: "),
    (("subscription", "stream.onEvent", {"topics": []}), "topics: "),
]


@pytest.mark.parametrize(("call", "text"), WRONG_INPUT, ids=lambda value: str(value)[:60])
async def test_wrong_input_is_a_bad_request_that_names_the_field(
    call: tuple[str, str, Any], text: str
) -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        code, message = await refusal_of(peer, *call)
        assert code == "BAD_REQUEST"
        assert text in message
        await peer.is_served()


async def test_a_payload_nested_without_end_is_refused_and_harms_nobody() -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        for depth in (300, 900):
            nested: Any = 1
            for _ in range(depth):
                nested = [nested]
            call = publishing("system.provider.status", {"type": "provider.status", "payload": nested})
            assert (await refusal_of(peer, *call))[0] == "BAD_REQUEST"


# ── too much ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_id_with_a_live_subscription_is_refused_and_the_first_goes_on() -> None:
    async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        await peer.tell(request(1, "subscription", "stream.onSystemEvent"))
        assert await peer.hear() == failure(1, "BAD_REQUEST", "Duplicate id 1", "stream.onSystemEvent")
        event_id = await peer.publish("task.progress", progress("t", 1))
        assert (await peer.answer_to(1))["result"]["id"] == event_id


async def test_one_subscription_more_than_allowed_is_refused_until_one_ends() -> None:
    config = Config(server=Server(port=0, max_subscriptions_per_connection=2))
    async with hub_with_bystander(config) as hub, open_peer(hub.url) as peer:
        for number in (1, 2):
            await peer.subscribe(number, "stream.onSystemEvent")
        with pytest.raises(Refused) as refused:
            await peer.subscribe(3, "stream.onSystemEvent")
        assert refused.value.code == "TOO_MANY_REQUESTS"
        await peer.tell({"id": 1, "method": "subscription.stop"})
        await peer.answer_to(1)
        await peer.subscribe(3, "stream.onSystemEvent")


LIMIT = 2000


def message_of(size: int, filling: str) -> str:
    """A query of `size` bytes in UTF-8, padded with `filling` in its input."""
    empty = len(json.dumps(request(1, "query", "hub.health", {"x": ""})).encode())
    times, rest = divmod(size - empty, len(filling.encode()))
    text = json.dumps(
        request(1, "query", "hub.health", {"x": filling * times + "x" * rest}), ensure_ascii=False
    )
    assert len(text.encode()) == size
    return text


@pytest.mark.parametrize("filling", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
async def test_a_message_up_to_the_limit_is_answered(size: int, filling: str) -> None:
    config = Config(server=Server(port=0, max_message_bytes=LIMIT))
    async with hub_with_bystander(config) as hub, open_peer(hub.url) as peer:
        await peer.tell(message_of(size, filling))
        assert (await peer.hear())["result"]["data"]["status"] == "ok"


@pytest.mark.parametrize("filling", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT * 2, LIMIT * 100])
async def test_a_message_beyond_the_limit_closes_the_connection_with_1009(size: int, filling: str) -> None:
    config = Config(server=Server(port=0, max_message_bytes=LIMIT))
    async with hub_with_bystander(config) as hub, open_peer(hub.url) as peer:
        await peer.tell(message_of(size, filling))
        assert (await peer.closed())[0] == 1009


async def test_fragments_that_are_too_long_together_close_the_connection_with_1009() -> None:
    config = Config(server=Server(port=0, max_message_bytes=LIMIT))
    async with hub_with_bystander(config) as hub, await raw.upgraded(hub.port) as stream:
        await stream.send_all(raw.frame(raw.TEXT, b"x" * LIMIT, final=False))
        await stream.send_all(raw.frame(0, b"x" * LIMIT) * 3)
        assert (await stream.receive_some()).startswith(b"\x88")


async def test_a_peer_that_does_not_answer_the_1009_is_not_waited_for() -> None:
    config = Config(server=Server(port=0, max_message_bytes=LIMIT))
    with gates_made() as gates:
        async with hub_with_bystander(config) as hub, await raw.upgraded(hub.port) as stream:
            await stream.send_all(raw.frame(raw.TEXT, "é".encode() * LIMIT))
            await until(lambda: gates[0].connections == 1)
            assert (await raw.read_to_end(stream))[2:4] == (1009).to_bytes(2, "big")


# ── what is no WebSocket frame ───────────────────────────────────────────────────────────────────────────

NO_FRAMES = {
    "unmasked": raw.frame(raw.TEXT, b"PING", masked=False),
    "reserved bits": b"\xf1\x80\0\0\0\0",
    "reserved opcode": raw.frame(0x3, b""),
    "no UTF-8": raw.frame(raw.TEXT, b"\xff\xfe"),
    "fragmented ping": raw.frame(raw.PING, b"", final=False),
    "long ping": raw.frame(raw.PING, b"x" * 126),
    "continuation of nothing": raw.frame(0, b"x"),
    "bad close code": raw.frame(raw.CLOSE, b"\x00\x01"),
    "half a close code": raw.frame(raw.CLOSE, b"\x03"),
    "noise": b"\xde\xad\xbe\xef" * 100,
}


@pytest.mark.parametrize("bytes_", NO_FRAMES.values(), ids=NO_FRAMES.keys())
async def test_what_breaks_rfc_6455_ends_that_connection_alone_and_quietly(bytes_: bytes) -> None:
    with structlog.testing.capture_logs() as logs:
        async with hub_with_bystander() as hub, await raw.upgraded(hub.port) as stream:
            await stream.send_all(bytes_)
            assert (await raw.read_to_end(stream))[:1] in (b"\x88", b"")
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_a_peer_may_vanish_at_any_byte_of_its_handshake_and_first_messages() -> None:
    """Each cut is a reset; where it falls in the hub's work is left to chance, so all of them are tried."""
    handshake = raw.upgrade()
    frames = raw.frame(raw.TEXT, b"PING") * 2 + raw.frame(raw.TEXT, b"x", masked=False)
    with gates_made() as gates, structlog.testing.capture_logs() as logs:
        async with hub_with_bystander() as hub:
            for length in range(0, len(handshake) + 1, 3):
                stream = await raw.connected(hub.port)
                await stream.send_all(handshake[:length])
                raw.reset(stream)
            for patience in range(12):
                stream = await raw.connected(hub.port)
                await stream.send_all(handshake)
                for _ in range(patience):
                    await trio.lowlevel.checkpoint()
                raw.reset(stream)
            for length in range(len(frames) + 1):
                stream = await raw.upgraded(hub.port)
                await stream.send_all(frames[:length])
                raw.reset(stream)
            await until(lambda: gates[0].connections == 1)
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_a_peer_may_vanish_between_its_handshake_and_the_answer() -> None:
    async def vanish(credentials: Credentials) -> Principal:
        if credentials.get("token") == "vanish":
            raw.reset(vanishing)
        return Principal("guest", roles=["*"])

    door = Contribution("door", authenticators=[Authenticator("door", vanish)])
    with gates_made() as gates, structlog.testing.capture_logs() as logs:
        async with running_hub(FREE_PORT, door) as hub, open_peer(hub.url) as other:
            vanishing = await raw.connected(hub.port)
            await vanishing.send_all(raw.upgrade("/?token=vanish"))
            await until(lambda: vanishing.socket.fileno() < 0 and gates[0].connections == 1)
            await other.is_served()
    assert not [line for line in logs if line["log_level"] == "error"]


@pytest.mark.parametrize("late", [raw.frame(raw.PING, b"late"), raw.frame(raw.TEXT, b"x", masked=False)])
async def test_a_peer_may_speak_out_of_turn_when_the_hub_has_said_goodbye(late: bytes) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub() as hub, await raw.upgraded(hub.port) as stream:
            hub.daemon.stop()
            goodbye = await stream.receive_some()
            assert goodbye[2:4] == (1012).to_bytes(2, "big")
            await stream.send_all(late)
            await raw.read_to_end(stream)
    assert not [line for line in logs if line["log_level"] == "error"]


# ── faults inside ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", range(len(FAULTY_CALLS)), ids=FAULTY_CALLS.keys())
async def test_an_internal_fault_is_told_by_its_incident_only_and_logged_in_full(number: int) -> None:
    with structlog.testing.capture_logs() as logs:
        async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
            await assert_incident(peer, logs, "query", f"test.fault{number}")
            await peer.is_served()


async def test_a_channel_that_fails_in_its_select_fails_that_subscription() -> None:
    with structlog.testing.capture_logs() as logs:
        async with hub_with_bystander() as hub, open_peer(hub.url) as peer:
            await assert_incident(peer, logs, "subscription", "test.onFault")
            await peer.subscribe(9, "stream.onSystemEvent")


async def assert_incident(peer: Peer, logs: list[Any], method: str, path: str) -> None:
    code, message = await refusal_of(peer, method, path, {})
    assert code == "INTERNAL_SERVER_ERROR"
    text, _, incident = message.partition("; incident ")
    assert text == "internal fault"
    assert SECRET not in message
    (line,) = [line for line in logs if line.get("incident") == incident]
    assert line["where"] == path
    assert isinstance(line["exc_info"], Exception)
