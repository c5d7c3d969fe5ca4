"""Text becomes messages or a `Malformed`, and nothing else comes out, whatever goes in."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adohub.wire.decode import Malformed, decode, decode_params, parse_json
from adohub.wire.encode import encode
from adohub.wire.messages import (
    ABSENT,
    Data,
    Incoming,
    Params,
    Ping,
    Pong,
    ProcedureKind,
    Request,
    Stop,
    Tag,
)
from tests.wire import strategies as some

patiently = settings(deadline=None)

QUERY = {"id": 1, "method": "query", "params": {"path": "hub.health"}}


def complaint(frame: str | bytes) -> str:
    with pytest.raises(Malformed) as caught:
        decode(frame)
    assert caught.value.code == "PARSE_ERROR"
    return caught.value.message


def only(frame: str) -> Incoming:
    (message,) = decode(frame)
    return message


# ── what is understood ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("frame", "messages"),
    [
        ("PING", [Ping()]),
        ("PONG", [Pong()]),
        ("[]", []),
        ('{"id":1,"method":"subscription.stop"}', [Stop(Tag(1))]),
        ('{"id":null,"method":"subscription.stop","params":7}', [Stop(Tag(None))]),
        (
            '{"id":1,"method":"query","params":{"path":"hub.health"}}',
            [Request(Tag(1), "query", "hub.health", ABSENT, None)],
        ),
        (
            '{"id":"a","jsonrpc":"2.0","method":"mutation","params":{"path":"","input":null}}',
            [Request(Tag("a", jsonrpc=True), "mutation", "", None, None)],
        ),
        (
            '{"id":0,"method":"subscription","params":{"path":"s","input":{"a":[1]},"lastEventId":""}}',
            [Request(Tag(0), "subscription", "s", {"a": [1]}, "")],
        ),
        (
            '[{"id":1,"method":"query","params":{"path":"a"}},{"id":2,"method":"subscription.stop"}]',
            [Request(Tag(1), "query", "a"), Stop(Tag(2))],
        ),
        (
            ' {"id":1,"method":"query","params":{"path":"a","more":1},"trace":"x"} ',
            [Request(Tag(1), "query", "a")],
        ),
        (
            '{"id":null,"method":"query","params":{"path":"a"}}',
            [Request(Tag(None), "query", "a")],
        ),
    ],
)
def test_what_clients_send_is_understood(frame: str, messages: list[Incoming]) -> None:
    assert decode(frame) == messages


@patiently
@given(some.tags, st.sampled_from(get_args(ProcedureKind)), some.paths, some.values, st.none() | some.texts)
def test_a_request_arrives_as_it_was_meant(
    tag: Tag, kind: ProcedureKind, path: str, input: Any, last_event_id: str | None
) -> None:
    params = {"path": path, "input": input}
    if last_event_id is not None:
        params["lastEventId"] = last_event_id
    request = {"id": tag.id, "method": kind, "params": params, **({"jsonrpc": "2.0"} if tag.jsonrpc else {})}
    expected = Request(tag, kind, path, input, last_event_id)
    assert decode(json.dumps(request)) == decode(json.dumps(request, ensure_ascii=False)) == [expected]


@patiently
@given(
    st.lists(
        st.builds(Request, some.tags, st.just("query"), some.paths, st.just(ABSENT), st.none()), max_size=5
    )
)
def test_a_batch_is_its_elements_in_order(requests: list[Request]) -> None:
    elements = [{"id": one.tag.id, "method": "query", "params": {"path": one.path}} for one in requests]
    messages = decode(json.dumps(elements))
    assert messages == [message for element in elements for message in decode(json.dumps(element))]


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": True}, "Invalid request id"),
        ({"id": [1]}, "Invalid request id"),
        ({"id": ...}, "Invalid request id"),
        ({"jsonrpc": "1.0"}, "Must be JSONRPC 2.0"),
        ({"jsonrpc": None}, "Must be JSONRPC 2.0"),
        ({"jsonrpc": 2.0}, "Must be JSONRPC 2.0"),
        ({"method": ...}, "Invalid procedure type"),
        ({"method": "nope"}, "Invalid procedure type"),
        ({"method": ["query"]}, "Invalid procedure type"),
        ({"method": {}}, "Invalid procedure type"),
        ({"params": ...}, "Not an object"),
        ({"params": None}, "Not an object"),
        ({"params": ["path"]}, "Not an object"),
        ({"params": {}}, "Invalid string"),
        ({"params": {"path": 1}}, "Invalid string"),
        ({"params": {"path": "a", "lastEventId": 3}}, "Invalid string"),
        ({"params": {"path": "a", "lastEventId": None}}, "Invalid string"),
        ({"id": True, "jsonrpc": 1, "method": 2, "params": 3}, "Invalid request id"),
        ({"jsonrpc": 1, "method": 2, "params": 3}, "Must be JSONRPC 2.0"),
        ({"method": 2, "params": 3}, "Invalid procedure type"),
    ],
)
def test_the_first_fault_is_named_in_the_known_words(change: dict[str, Any], message: str) -> None:
    """`...` removes a key. The later cases have several faults: which one is named is part of the order."""
    request = {name: value for name, value in (QUERY | change).items() if value is not ...}
    assert complaint(json.dumps(request)) == message
    assert complaint(json.dumps([QUERY, request])) == message


@pytest.mark.parametrize("frame", ["1", "null", '"PING"', "true", "[[]]", "[1]", '["PING"]', "[null]"])
def test_what_is_no_object_is_no_message(frame: str) -> None:
    assert complaint(frame) == "Not an object"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " ",
        "ping",
        "PING ",
        "{bad",
        "{",
        "NaN",
        "[Infinity]",
        "'a'",
        "{} {}",
        "\ufeff{}",
        '{"a":"\n"}',
        "01",
    ],
)
def test_what_is_no_json_is_refused_in_the_parsers_words(frame: str) -> None:
    assert complaint(frame)


@pytest.mark.parametrize("frame", [b"", b"PING", json.dumps(QUERY).encode(), b"\x80\xff"])
def test_a_binary_frame_is_refused_with_the_remedy(frame: bytes) -> None:
    assert "a client with a binary encoder uses it for all messages" in complaint(frame)


# ── the greeting ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("frame", "params"),
    [
        ('{"method":"connectionParams","data":null}', None),
        ('{"method":"connectionParams","data":{}}', {}),
        ('{"method":"connectionParams","data":{"token":"abc"}}', {"token": "abc"}),
        ('{"data":{"a":"b"}}', {"a": "b"}),
        ('{"method":7,"id":1,"data":{"a":""}}', {"a": ""}),
    ],
)
def test_connection_params_are_null_or_strings_by_name(frame: str, params: dict[str, str] | None) -> None:
    assert decode_params(frame) == Params(params)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("{bad", "Malformed TRPCConnectionParamsMessage"),
        ('"x"', "Malformed TRPCConnectionParamsMessage"),
        ('[{"data":null}]', "Malformed TRPCConnectionParamsMessage"),
        (b'{"data":null}', "Malformed TRPCConnectionParamsMessage"),
        ('{"method":"connectionParams"}', "Invalid connection params shape"),
        ('{"data":[]}', "Invalid connection params shape"),
        ('{"data":{"n":1}}', "Invalid connection params shape"),
        ('{"data":{"n":null}}', "Invalid connection params shape"),
    ],
)
def test_other_first_messages_are_refused_in_the_known_words(frame: str | bytes, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_params(frame)
    assert caught.value.message == message


def test_connection_params_are_kept_out_of_logs() -> None:
    assert "secret" not in repr(decode_params('{"data":{"token":"secret"}}'))


# ── whatever goes in ─────────────────────────────────────────────────────────────────────────────────


def listen(frame: str | bytes) -> None:
    """Decode `frame` in both roles; only Malformed may come of it, and what it says can be sent."""
    for read in (decode, decode_params):
        try:
            read(frame)
        except Malformed as refusal:
            refusal.message.encode()


@patiently
@given(st.text(some.UNICODE | some.HALVES) | st.binary())
@example("\ud800")
@example('"\ud800\\u0041"')
@example("\\u")
@example('{"\\ud800":\ud800}')
def test_any_text_and_any_bytes_are_survived(frame: str | bytes) -> None:
    listen(frame)


@patiently
@given(some.nearly_requests | st.lists(some.nearly_requests | some.values, max_size=4) | some.values)
def test_any_json_is_survived(value: Any) -> None:
    listen(json.dumps(value))


@patiently
@given(some.nearly_requests, st.data())
def test_a_torn_message_is_survived(value: Any, data: st.DataObject) -> None:
    whole = json.dumps(value)
    start = data.draw(st.integers(0, len(whole)))
    listen(whole[start:])
    listen(whole[:start])


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['])
@pytest.mark.parametrize("seed", ["", '"\\ud800"'], ids=["plain", "surrogate"])
@pytest.mark.parametrize("depth", [100, 1_000, 1_024, 1_025, 10_000, 100_000])
def test_deep_nesting_is_survived(opening: str, seed: str, depth: int) -> None:
    closing = opening.translate(str.maketrans("[{", "]}", '"a:'))[::-1]
    listen(seed + opening * depth)
    listen(opening * depth + seed + closing * depth)


@pytest.mark.parametrize("repair", ["", "\\ud800"], ids=["plain", "surrogate"])
@pytest.mark.parametrize(
    "number", ["9" * 400, "9" * 5_000, "-" + "9" * 5_000, "1e999", "-1e999", "0." + "0" * 5_000, "1e-999"]
)
def test_numbers_beyond_all_measure_are_survived(number: str, repair: str) -> None:
    listen(f'{{"id":{number},"method":"query","params":{{"path":"{repair}"}}}}')
    listen(f'{{"id":1,"method":"query","params":{{"path":"a","input":[{number},"{repair}"]}}}}')


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-0", "1", "1.5", "1e3", "9007199254740993", "18446744073709551615", "18446744073709551616"),
        *("123456789012345678901234567890", "-9223372036854775809", "1.7976931348623157e308", "5e-324"),
    ],
)
@pytest.mark.parametrize("path", ["a", "\\ud83d"], ids=["plain", "surrogate"])
def test_any_number_that_javascript_can_hold_is_echoed_as_the_same(number: str, path: str) -> None:
    request = only(f'{{"id":{number},"method":"query","params":{{"path":"{path}"}}}}')
    assert isinstance(request, Request)
    echoed = json.loads(encode(Data(request.tag, None)))["id"]
    assert float(echoed) == float(number)


# ── half an emoji ────────────────────────────────────────────────────────────────────────────────────


def mended(value: Any) -> Any:
    """`value` with pairs of surrogates joined, and single ones made U+FFFD."""
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(name): mended(item) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    joined = re.sub("[\ud800-\udbff][\udc00-\udfff]", lambda pair: _joined(pair[0]), value)
    return re.sub("[\ud800-\udfff]", "\ufffd", joined)


def _joined(pair: str) -> str:
    high, low = map(ord, pair)
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


@patiently
@given(some.nested(some.scalars | some.torn_texts, some.torn_texts))
@example("\ud83d")
@example("a\ude00\ud83d")
@example("\ud83d\ud83d\ude00")
@example({"\ud83d": ["\ude00"]})
def test_half_an_emoji_is_read_as_the_replacement_character(value: Any) -> None:
    assert parse_json(json.dumps(value)) == mended(value)


@patiently
@given(some.values)
def test_json_is_read_as_everybody_reads_it(value: Any) -> None:
    text = json.dumps(value)
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


def test_half_an_emoji_does_not_let_bad_json_through() -> None:
    for text in ['{"a":"\\ud800",}', '["\\ud800",NaN]', '["\\ud800",1e999]', '"\\ud800"x', '"\\ud800']:
        with pytest.raises(Malformed):
            parse_json(text)
