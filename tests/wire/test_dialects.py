"""Every dialect says the same of an event: its payload, and of that what JSON alone cannot say."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from contextlib import suppress
from datetime import datetime
from itertools import product
from typing import Any

import orjson
import ormsgpack
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from adohub.errors import PeerError
from adohub.model import Event, Position
from adohub.notes import Notes, gathered, notes_of, to_bytes
from adohub.plugin.contracts import WholeEvent
from adohub.structuring import Varying, wire
from adohub.wire import superjson
from adohub.wire.binary import BinaryFrames, decode, decode_params
from adohub.wire.decode import Malformed
from adohub.wire.dialect import JSON_FRAMES, Dialect
from adohub.wire.dialects import Dialects, every_choice
from adohub.wire.encode import View
from adohub.wire.messages import (
    ABSENT,
    Data,
    Failure,
    Outgoing,
    Params,
    Ping,
    Pong,
    Reconnect,
    Request,
    Started,
    Stop,
    Stopped,
    Tag,
)
from adohub.wire.noting import Noting
from tests.wire.event_source import EventSource

NOON = "2026-01-02T12:00:00.000Z"
OCTETS = b64encode(b"\x00\xff").decode()


@frozen
class Reading:
    at: datetime
    raw: bytes
    extra: Any = None


MARKS = {"a.reading": wire.marks(Reading)}
CHOICE = every_choice(Noting(MARKS), "none")
PLAIN, SUPERJSON = CHOICE.offered["none"], CHOICE.offered["superjson"]

PAYLOAD = {"at": NOON, "raw": OCTETS, "extra": {"seen": ["1"], "blob": OCTETS}}
KEPT: Notes = ((("extra", "seen"), "set"), (("extra", "seen", 0), "bigint"), (("extra", "blob"), "bytes"))
EVENT = Event(Position("e", 7), "a.reading", "k", orjson.dumps(PAYLOAD), NOON, to_bytes(KEPT))

VIEWS = [View(*shown) for shown in product((False, True), repeat=4)]


def expected(view: View) -> tuple[Any, set[Any]]:
    """What is shown of EVENT, and what is noted about it."""
    event_id = EVENT.id + ("-part" if view.partial else "")
    shown: Any = PAYLOAD
    notes = {(("at",), "Date"), (("raw",), "bytes"), *KEPT}
    if view.whole:
        shown = {"id": EVENT.id, "topic": "a.reading", "key": "k", "payload": PAYLOAD, "timestamp": NOON}
        notes = {(("payload", *path), kind) for path, kind in notes} | {(("timestamp",), "Date")}
    if view.revised:
        shown = {**shown, "revision": 7}
    if view.tracked:
        shown = {"id": event_id, "data": shown}
        notes = {(("data", *path), kind) for path, kind in notes}
    return shown, notes


def with_octets(value: Any, notes: set[Any]) -> Any:
    """`value` as MessagePack has it."""
    copy = json.loads(json.dumps(value))
    for path, kind in notes:
        if kind == "bytes":
            *way, last = path
            inner = copy
            for step in way:
                inner = inner[step]
            inner[last] = b64decode(inner[last])
    return copy


def whole(dialect: Dialect, tag: Tag, view: View) -> bytes:
    """The content of the frame that `dialect` makes of EVENT."""
    prefix, body = dialect.prefix(tag), dialect.body(EVENT, view)
    header = dialect.header(len(prefix) + len(body))
    assert header[0] == (0x81 if dialect in (PLAIN.frames, SUPERJSON.frames) else 0x82)
    return prefix + body


TAGS = [Tag(1), Tag("x", jsonrpc=True)]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_json_has_the_plain_form(view: View, tag: Tag) -> None:
    message = json.loads(whole(PLAIN.frames, tag, view))
    assert message["result"]["data"] == expected(view)[0]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_superjson_has_what_is_noted_beside_it(view: View, tag: Tag) -> None:
    message = json.loads(whole(SUPERJSON.frames, tag, view))
    shown, notes = expected(view)
    data = superjson.decode(message["result"]["data"])
    assert data == shown
    assert set(notes_of(data)) == {note for note in notes if note[1] != "bytes"}


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_messagepack_has_octets(view: View, tag: Tag) -> None:
    message = ormsgpack.unpackb(whole(PLAIN.binary, tag, view))
    assert message["result"]["data"] == with_octets(*expected(view))


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_superjson_in_messagepack_has_both(view: View) -> None:
    message = ormsgpack.unpackb(whole(SUPERJSON.binary, Tag(1), view))
    shown, notes = expected(view)
    assert message["result"]["data"]["json"] == with_octets(shown, notes)
    data = superjson.decode({**message["result"]["data"], "json": shown})
    assert set(notes_of(data)) == {note for note in notes if note[1] != "bytes"}


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("dialects", [PLAIN, SUPERJSON], ids=["none", "superjson"])
def test_an_event_stream_has_the_payload_alone(view: View, dialects: Dialects) -> None:
    source = EventSource().read(dialects.events.body(EVENT, view)).end()
    data = json.loads(source.dispatched[0][1])
    shown, notes = expected(view._replace(tracked=False))
    if dialects is SUPERJSON:
        data = superjson.decode(data)
        assert set(notes_of(data)) == {note for note in notes if note[1] != "bytes"}
    assert data == shown


@pytest.mark.parametrize("dialect", [PLAIN.frames, SUPERJSON.frames, PLAIN.binary, SUPERJSON.binary])
@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_the_envelope_is_the_same_in_all(dialect: Dialect, tag: Tag) -> None:
    content = whole(dialect, tag, View())
    is_json = dialect in (PLAIN.frames, SUPERJSON.frames)
    message = json.loads(content) if is_json else ormsgpack.unpackb(content)
    data = message["result"].pop("data")
    assert data
    jsonrpc = {"jsonrpc": "2.0"} if tag.jsonrpc else {}
    assert message == {"id": tag.id, **jsonrpc, "result": {"type": "data", "id": EVENT.id}}


def test_who_speaks_plainly_shares_the_one_plain_dialect() -> None:
    """Which the slow twin is compared with, and the tests of cohorts."""
    assert PLAIN.frames is JSON_FRAMES


# ── answers and refusals ─────────────────────────────────────────────────────────────────────────────

TAG = Tag(3)
SAID: list[tuple[Outgoing, Any]] = [
    (Started(TAG), {"id": 3, "result": {"type": "started"}}),
    (Started(TAG, recovered=False), {"id": 3, "result": {"type": "started", "recovered": False}}),
    (Stopped(TAG), {"id": 3, "result": {"type": "stopped"}}),
    (Data(TAG, None), {"id": 3, "result": {"type": "data"}}),
    (Reconnect(), {"id": None, "method": "reconnect"}),
    (
        Failure(TAG, "CONFLICT", "no", "a.b", {"revision": 2}),
        {
            "id": 3,
            "error": {
                "message": "no",
                "code": -32009,
                "data": {"code": "CONFLICT", "httpStatus": 409, "path": "a.b", "revision": 2},
            },
        },
    ),
]


@pytest.mark.parametrize(("message", "meaning"), SAID, ids=lambda value: type(value).__name__)
def test_a_message_is_the_same_in_json_and_messagepack(message: Outgoing, meaning: Any) -> None:
    text, binary = PLAIN.frames.message(message), PLAIN.binary.message(message)
    assert (text[0], binary[0]) == (0x81, 0x82)
    assert json.loads(text[text.index(b"{") :]) == meaning
    assert ormsgpack.unpackb(binary[4 if binary[1] == 126 else 2 :]) == meaning


def test_an_error_is_transformed_as_a_whole() -> None:
    message, meaning = SAID[-1]
    text, binary = SUPERJSON.frames.message(message), SUPERJSON.binary.message(message)
    assert json.loads(text[text.index(b"{") :])["error"] == {"json": meaning["error"]}
    assert ormsgpack.unpackb(binary[4 if binary[1] == 126 else 2 :])["error"] == {"json": meaning["error"]}


@pytest.mark.parametrize(("message", "word"), [(Ping(), b"PING"), (Pong(), b"PONG")], ids=["PING", "PONG"])
def test_ping_and_pong_are_text_to_everybody(message: Outgoing, word: bytes) -> None:
    for dialects in (PLAIN, SUPERJSON):
        for dialect in (dialects.frames, dialects.binary):
            assert dialect.message(message) == b"\x81\x04" + word


ANSWER = {"events": [{"id": "1", "topic": "a.reading", "key": None, "payload": PAYLOAD, "timestamp": NOON}]}


@frozen
class Answer:
    events: list[WholeEvent]


def test_an_answer_has_the_marks_of_its_type_and_of_the_topics_in_it() -> None:
    marks = wire.marks(Answer, Varying(WholeEvent, "payload", "topic", MARKS))
    data = superjson.decode(json.loads(SUPERJSON.frames.value(ANSWER, marks)))
    assert data == ANSWER
    place = ("events", 0)
    assert set(gathered(data)) == {((*place, "timestamp"), "Date"), ((*place, "payload", "at"), "Date")}
    packed = ormsgpack.unpackb(PLAIN.binary.value(ANSWER, marks))
    assert packed["events"][0]["payload"]["raw"] == b"\x00\xff"
    body = SUPERJSON.binary.message(Data(TAG, SUPERJSON.binary.value(ANSWER, marks)))
    both = ormsgpack.unpackb(body[4:])["result"]["data"]
    assert both["json"]["events"][0]["payload"]["raw"] == b"\x00\xff"
    assert both["meta"]["values"] == {"events.0.timestamp": ["Date"], "events.0.payload.at": ["Date"]}


def test_what_a_transformer_has_written_can_be_a_part_of_more() -> None:
    for notes, values in (({"at": ["Date"]}, {"2.0.at": ["Date"]}), (["Date"], {"2.0": ["Date"]})):
        value = orjson.dumps({"json": {"at": NOON}, "meta": {"values": notes, "v": 1}})
        embedded = SUPERJSON.transformer.embed(b"[1,2,[", value, b"]]", "2.0")
        assert json.loads(embedded) == {"json": [1, 2, [{"at": NOON}]], "meta": {"values": values, "v": 1}}
    assert SUPERJSON.transformer.embed(b"[", b'{"json":1}', b"]", "0") == b'{"json":[1]}'
    assert PLAIN.transformer.embed(b"[", b"1", b"]", "0") == b"[1]"


def test_a_line_of_a_batch_is_transformed_as_a_whole() -> None:
    """As `transcripts/v11/http-superjson.json` has it."""
    body = SUPERJSON.bodies.value({"now": NOON}, wire.marks(dict[str, datetime]))
    assert json.loads(SUPERJSON.lines.line(4, Data(Tag(4), body))) == {
        "json": [4, 0, [[{"result": {"data": {"now": NOON}}}]]],
        "meta": {"values": {"2.0.0.result.data.now": ["Date"]}, "v": 1},
    }
    assert json.loads(SUPERJSON.lines.head(1)) == {"json": {"0": [[0], [None, 0, 0]]}}
    [error] = json.loads(SUPERJSON.lines.line(0, SAID[-1][0]))["json"][2]  # type: ignore[arg-type]
    assert error == [{"error": SAID[-1][1]["error"]}]


# ── what comes in ────────────────────────────────────────────────────────────────────────────────────


def test_an_input_is_read_by_its_transformer() -> None:
    sent = {"json": {"at": NOON}, "meta": {"values": {"at": ["Date"]}}}
    for values in (SUPERJSON.frames, SUPERJSON.binary, SUPERJSON.events, SUPERJSON.bodies):
        assert values.read(sent) == {"at": NOON}
        assert values.read({"json": None, "meta": {"values": ["undefined"]}}) is ABSENT
        assert values.read(ABSENT) is ABSENT
        with pytest.raises(PeerError):
            values.read({"at": NOON})
    for values in (PLAIN.frames, PLAIN.binary, PLAIN.events, PLAIN.bodies):
        assert values.read(sent) is sent


def packed(*messages: Any) -> bytes:
    return ormsgpack.packb(messages[0] if len(messages) == 1 else list(messages))


QUERY = {"id": 1, "method": "query", "params": {"path": "a.b", "input": {"raw": b"\x00\xff"}}}


def test_binary_frames_hold_the_same_messages() -> None:
    [query, stop] = decode(packed(QUERY, {"id": "x", "method": "subscription.stop"}))
    assert query == Request(Tag(1), "query", "a.b", {"raw": OCTETS})
    assert isinstance(query, Request)
    assert gathered(query.input) == ((("raw",), "bytes"),)
    assert stop == Stop(Tag("x"))


def test_what_an_encoder_makes_of_undefined_is_not_there() -> None:
    """@msgpack/msgpack writes nil."""
    params = {"path": "a.b", "input": None, "lastEventId": None}
    [request] = decode(packed({"id": 1, "method": "subscription", "params": params}))
    assert request == Request(Tag(1), "subscription", "a.b", None, None)


def test_connection_params_come_in_a_binary_frame() -> None:
    assert decode_params(packed({"method": "connectionParams", "data": {"token": "t"}})) == Params(
        {"token": "t"}
    )
    assert decode_params(packed({"method": "connectionParams", "data": None})) == Params(None)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        packed(1),
        packed({}),
        packed(QUERY) + b"\x00",
        packed(QUERY)[:-1],
        "{}",
        '{"id":1,"method":"subscription.stop"}',
    ],
    ids=repr,
)
def test_other_frames_are_refused(frame: str | bytes) -> None:
    for reading in (decode, decode_params):
        with pytest.raises(Malformed):
            reading(frame)


@given(st.binary(max_size=40) | st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=9) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "method", "params", "path", "lastEventId"]) | st.text(), inner),
).map(ormsgpack.packb))  # fmt: skip
def test_whatever_comes_is_read_or_malformed(frame: bytes) -> None:
    for reading in (decode, decode_params):
        with suppress(Malformed):
            reading(frame)


# ── the choice ───────────────────────────────────────────────────────────────────────────────────────


def test_a_peer_may_ask_for_another_transformer_than_the_usual() -> None:
    by_default = every_choice(Noting({}), "superjson")
    assert by_default.by({}) is by_default.standard is by_default.offered["superjson"]
    assert by_default.by({"transformer": "none"}) is by_default.offered["none"]
    assert CHOICE.by({"transformer": "superjson"}) is SUPERJSON
    with pytest.raises(PeerError, match='there is no transformer "devalue", but none or superjson'):
        CHOICE.by({"transformer": "devalue"})


def test_a_binary_dialect_is_the_frames_of_its_transformer() -> None:
    assert isinstance(PLAIN.binary, BinaryFrames)
    assert PLAIN.binary.transformer is PLAIN.transformer
