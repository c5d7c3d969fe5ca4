"""Replies have the documented shapes, and an event's shared halves are what it would be on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.errors import ErrorCode
from adohub.model import Event, Position
from adohub.wire.codes import CODES
from adohub.wire.dialect import JSON_FRAMES
from adohub.wire.encode import View, data_prefix, encode, json_bytes, whole_event
from adohub.wire.messages import Data, Failure, Outgoing, Ping, Pong, Reconnect, Started, Stopped, Tag
from tests.wire import strategies as some

patiently = settings(deadline=None)

TAGS = [
    Tag(1),
    Tag(0),
    Tag(-7),
    Tag(1.5),
    Tag("1"),
    Tag(""),
    Tag('a"\\ü\u2028'),
    Tag(None),
    Tag(1, jsonrpc=True),
]
VIEWS = [View(whole, tracked) for whole in (False, True) for tracked in (False, True)]


def said(message: Outgoing) -> Any:
    return json.loads(encode(message))


def envelope(tag: Tag, **fields: Any) -> dict[str, Any]:
    return {"id": tag.id, **({"jsonrpc": "2.0"} if tag.jsonrpc else {}), **fields}


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tag", TAGS, ids=str)
@pytest.mark.parametrize(
    ("make", "result"),
    [
        (Started, {"type": "started"}),
        (lambda tag: Started(tag, recovered=True), {"type": "started", "recovered": True}),
        (lambda tag: Started(tag, recovered=False), {"type": "started", "recovered": False}),
        (lambda tag: Data(tag, None), {"type": "data"}),
        (lambda tag: Data(tag, b"null"), {"type": "data", "data": None}),
        (lambda tag: Data(tag, b'{"status":"ok"}'), {"type": "data", "data": {"status": "ok"}}),
        (Stopped, {"type": "stopped"}),
    ],
    ids=["started", "recovered", "with-gap", "undefined", "null", "object", "stopped"],
)
def test_a_result_is_named_by_its_type(tag: Tag, make: Any, result: dict[str, Any]) -> None:
    assert said(make(tag)) == envelope(tag, result=result)


@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_an_id_is_echoed_in_its_own_json_type(tag: Tag) -> None:
    for message in (Started(tag), Data(tag, b"1"), Stopped(tag), Failure(tag, "TIMEOUT", "")):
        echoed = said(message)["id"]
        assert (type(echoed), echoed) == (type(tag.id), tag.id)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Ping(), b"PING"),
        (Pong(), b"PONG"),
        (Reconnect(), b'{"id":null,"method":"reconnect"}'),
    ],
)
def test_what_concerns_no_request_is_said_in_these_very_bytes(message: Outgoing, text: bytes) -> None:
    assert encode(message) == text


@patiently
@given(some.tags | some.nobodys_tags, some.codes, some.texts, st.none() | some.paths, some.objects)
def test_an_error_says_code_status_path_and_more(
    tag: Tag, code: ErrorCode, message: str, path: str | None, more: Mapping[str, Any]
) -> None:
    number, http_status = CODES[code]
    data = {"code": code, "httpStatus": http_status} | ({} if path is None else {"path": path}) | dict(more)
    shape = {"message": message, "code": number, "data": data}
    assert said(Failure(tag, code, message, path, more)) == envelope(tag, error=shape)


@patiently
@given(some.values)
def test_json_is_written_as_everybody_reads_it(value: Any) -> None:
    assert json.loads(json_bytes(value)) == value


def test_what_is_no_json_is_refused_not_guessed() -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    for value in (object(), {1: 2}, "\ud800", b"", 2**64, deep):
        with pytest.raises(TypeError):
            json_bytes(value)


def test_nothing_but_a_message_can_be_said() -> None:
    with pytest.raises(TypeError, match="not a message"):
        encode("PING")  # type: ignore[arg-type]


# ── an event, framed once for many ───────────────────────────────────────────────────────────────────


def slowly(tag: Tag, event: Event, view: View) -> dict[str, Any]:
    """The data message for `event`, made alone and the long way."""
    payload = json.loads(event.body)
    shown = payload
    if view.whole:
        shown = {
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "payload": payload,
            "timestamp": event.timestamp,
        }
    if view.tracked:
        shown = {"id": event.id, "data": shown}
    return envelope(tag, result={"type": "data", "data": shown, "id": event.id})


def quickly(tag: Tag, event: Event, view: View) -> bytes:
    return data_prefix(tag) + JSON_FRAMES.body(event, view)


@patiently
@given(some.tags, some.events, st.sampled_from(VIEWS))
def test_the_shared_halves_make_the_message_that_would_be_made_alone(
    tag: Tag, event: Event, view: View
) -> None:
    assert json.loads(quickly(tag, event, view)) == slowly(tag, event, view)


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("tag", TAGS, ids=str)
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
def test_size_does_not_matter(tag: Tag, view: View, size: int) -> None:
    body = json.dumps({"text": "é" * size}, ensure_ascii=False).encode()
    event = Event(Position("0", 7), "a.b", "k", body, "2026-01-02T03:04:05.678Z")
    assert json.loads(quickly(tag, event, view)) == slowly(tag, event, view)


@patiently
@given(some.tags, some.values, some.events)
def test_a_subscriptions_data_and_an_answers_begin_alike(tag: Tag, value: Any, event: Event) -> None:
    assert encode(Data(tag, json_bytes(value))).startswith(data_prefix(tag))
    assert quickly(tag, event, View()).startswith(data_prefix(tag))


@patiently
@given(some.events, some.tags, st.sampled_from(VIEWS))
def test_every_data_message_names_its_event_beside_the_payload(event: Event, tag: Tag, view: View) -> None:
    """One without would erase the place from which clients resume."""
    assert json.loads(quickly(tag, event, view))["result"]["id"] == event.id
    assert Position.parse(event.id) == event.position


@patiently
@given(some.events)
def test_a_payload_is_passed_on_as_it_was_kept(event: Event) -> None:
    assert event.body in whole_event(event)
    assert event.body in JSON_FRAMES.body(event, View(whole=True, tracked=True))
