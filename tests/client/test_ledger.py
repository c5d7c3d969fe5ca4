"""The ledger's laws, and its agreement with recorded conversations of real tRPC clients and servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from adohub.client.ledger import Answered, Delivered, Delivery, Ledger, Rebuffed, Refused, Stopped

GOLDEN = Path(__file__).parents[1] / "transcripts" / "golden"
CONVERSATIONS = sorted(path.relative_to(GOLDEN) for path in GOLDEN.glob("**/ws-*.json"))


def say(ledger: Ledger, message: object) -> Any:
    return ledger.receive(message if isinstance(message, str) else orjson.dumps(message).decode())


def said(ledger: Ledger) -> list[Any]:
    """Everything the ledger has to say now; JSON frames decoded."""
    frames = iter(ledger.next_frame, None)
    return [orjson.loads(frame) if frame.startswith("{") else frame for frame in frames]


def data(request: int, value: object, **fields: object) -> dict[str, object]:
    return {"id": request, "result": {"type": "data", "data": value, **fields}}


def test_a_call_is_said_once_and_answered_once() -> None:
    ledger = Ledger()
    call = ledger.ask("query", "hub.health", {"x": 1})
    request = {"id": call, "method": "query", "params": {"path": "hub.health", "input": {"x": 1}}}
    assert said(ledger) == [request]
    assert said(ledger) == []
    assert say(ledger, data(call, "ok")) == Answered(call, "ok")
    assert say(ledger, data(call, "again")) is None


def test_a_cut_loses_calls_that_left_and_repeats_the_rest_in_their_order() -> None:
    ledger = Ledger()
    first = ledger.ask("mutation", "events.publish", 1, repeatable=True)
    lost = ledger.ask("mutation", "state.set", 2)
    stream = ledger.subscribe("stream.onX", None, None)
    said(ledger)
    unsent = ledger.ask("mutation", "state.set", 3)
    assert ledger.cut() == [lost]
    assert [frame["id"] for frame in said(ledger)] == [first, stream, unsent]
    assert say(ledger, data(lost, "late")) is None


def test_a_subscription_is_repeated_after_what_its_reader_was_handed_not_after_what_came() -> None:
    ledger = Ledger()
    stream = ledger.subscribe("stream.onX", None, "e0")
    said(ledger)
    assert say(ledger, data(stream, 1, id="e1")) == Delivered(stream, Delivery("e1", 1))
    ledger.advance(stream, "e1")
    say(ledger, data(stream, 2, id="e2"))
    ledger.cut()
    assert [frame["params"]["lastEventId"] for frame in said(ledger)] == ["e1"]


def test_an_event_without_id_clears_the_position() -> None:
    ledger = Ledger()
    stream = ledger.subscribe("stream.onX", None, "e0")
    assert say(ledger, data(stream, 1)) == Delivered(stream, Delivery("", 1))
    ledger.advance(stream, "")
    ledger.cut()
    assert said(ledger) == [{"id": stream, "method": "subscription", "params": {"path": "stream.onX"}}]


def test_forgetting_stops_only_what_the_hub_knows() -> None:
    ledger = Ledger()
    known = ledger.subscribe("stream.onX", None, None)
    said(ledger)
    unknown = ledger.subscribe("stream.onX", None, None)
    call = ledger.ask("query", "x", None)
    for request in (known, unknown, call):
        ledger.forget(request)
    assert said(ledger) == [{"id": known, "method": "subscription.stop"}]
    ended = ledger.subscribe("stream.onX", None, None)
    said(ledger)
    assert say(ledger, {"id": ended, "result": {"type": "stopped"}}) == Stopped(ended)
    ledger.forget(ended)
    assert said(ledger) == []


def test_after_a_reconnect_notice_nothing_new_is_said_and_the_ledger_parts_once_answered() -> None:
    ledger = Ledger()
    ledger.subscribe("stream.onX", None, None)
    call = ledger.ask("query", "x", None)
    said(ledger)
    say(ledger, {"id": None, "method": "reconnect"})
    later = ledger.ask("query", "y", None)
    assert said(ledger) == []
    before = ledger.parted
    say(ledger, data(call, 1))
    assert (before, ledger.parted) == (False, True)
    assert ledger.cut() == []
    assert [frame["id"] for frame in said(ledger)] == [1, later]


def test_pings_are_answered_once_per_turn_and_forgotten_with_the_connection() -> None:
    ledger = Ledger()
    say(ledger, "PING")
    say(ledger, "PING")
    assert said(ledger) == ["PONG"]
    ledger.ping()
    ledger.cut()
    assert said(ledger) == []
    assert say(ledger, "PONG") is None


def test_the_largest_call_is_blamed_for_a_message_too_big() -> None:
    ledger = Ledger()
    assert ledger.refuse_largest() is None
    ledger.ask("mutation", "a", "x", repeatable=True)
    large = ledger.ask("mutation", "a", "x" * 100, repeatable=True)
    said(ledger)
    refused = ledger.refuse_largest()
    assert refused is not None
    assert (refused.id, refused.error.code) == (large, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "noise",
    [
        "hello",
        "[]",
        "null",
        "7",
        '{"id":99,"result":{}}',
        '{"id":null,"method":"dance"}',
        '{"id":[1],"error":{}}',
    ],
)
def test_noise_is_ignored(noise: str) -> None:
    ledger = Ledger()
    ledger.ask("query", "x", None)
    said(ledger)
    assert ledger.receive(noise) is None


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"message": "m", "code": -32603, "data": {"code": "GATEWAY_TIMEOUT"}}, "GATEWAY_TIMEOUT", "m"),
        ({"message": "m", "code": -32603, "data": {"code": "NEWFANGLED"}}, "INTERNAL_SERVER_ERROR", "m"),
        ({"message": "m", "data": {"code": ["odd"]}}, "INTERNAL_SERVER_ERROR", "m"),
        ({}, "INTERNAL_SERVER_ERROR", "INTERNAL_SERVER_ERROR"),
        ("odd", "INTERNAL_SERVER_ERROR", "INTERNAL_SERVER_ERROR"),
    ],
)
def test_an_error_of_any_shape_ends_its_request(error: object, code: str, message: str) -> None:
    ledger = Ledger()
    call = ledger.ask("query", "x", None)
    said(ledger)
    refused = say(ledger, {"id": call, "error": error})
    assert isinstance(refused, Refused)
    assert (refused.error.code, refused.error.message) == (code, message)


def test_the_recordings_are_here() -> None:
    assert len(CONVERSATIONS) > 50


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=str)
def test_every_recorded_frame_of_a_server_is_understood(conversation: Path) -> None:
    """Whatever a server was seen to send is taken without an exception, and errors keep their words."""
    recording = orjson.loads((GOLDEN / conversation).read_bytes())
    for frame in recording["frames"]:
        if frame["dir"] != "s2c" or frame["kind"] != "text":
            continue
        message = frame["data"]
        ledger = Ledger()
        while ledger.ask("query", "x", None) < _highest_id(message):
            pass
        said(ledger)
        reception = say(ledger, message)
        match message:
            case {"id": int(), "error": {"message": str(words)}}:
                assert isinstance(reception, Refused)
                assert reception.error.message == words
            case {"id": None, "error": _}:
                assert isinstance(reception, Rebuffed)


@pytest.mark.parametrize("name", ["v11/ws-tracked-resume", "scripted-server/v11/ws-plain-data-with-id"])
def test_a_resume_says_what_a_real_client_says(name: str) -> None:
    """A recorded conversation of @trpc/client, frame by frame, with our ledger in its place."""
    frames = orjson.loads((GOLDEN / f"{name}.json").read_bytes())["frames"]
    ledger = Ledger()
    stream = ledger.subscribe("stream.onTaskProgress", {"taskId": "t1"}, None)
    seen = []
    for frame in frames:
        if frame["kind"] == "close":
            ledger.cut()
        elif frame["kind"] == "text" and frame["dir"] == "c2s" and frame["data"]["method"] == "subscription":
            assert said(ledger) == [frame["data"]]
        elif frame["kind"] == "text" and frame["dir"] == "s2c":
            reception = say(ledger, frame["data"])
            if isinstance(reception, Delivered):
                ledger.advance(stream, reception.delivery.id)
                seen.append(reception.delivery.id)
    assert seen == [frame["data"]["result"]["id"] for frame in frames if _is_event(frame)]


def _highest_id(message: object) -> int:
    match message:
        case {"id": int(known)}:
            return known
    return 1


def _is_event(frame: dict[str, Any]) -> bool:
    match frame:
        case {"dir": "s2c", "data": {"result": {"type": "data"}}}:
            return True
    return False
