"""What an HTTP request asks for, read from any bytes whatever without another word than a PeerError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adohub.config import Limits
from adohub.errors import PeerError
from adohub.wire.dialect import PLAIN
from adohub.wire.http import (
    Asked,
    Bodies,
    Letter,
    Unreadable,
    allow,
    check_content,
    read,
    read_params,
    status,
)
from adohub.wire.messages import ABSENT, Data, Failure, ProcedureKind, Request, Tag

KINDS: dict[str, ProcedureKind] = {
    "q.one": "query",
    "m.one": "mutation",
    "s.one": "subscription",
    "q.ü": "query",
}


def asked(
    path: str,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> Asked:
    return read(Letter(method, path, query, headers or {}, body), KINDS.get)


def only(found: Asked) -> Request | Failure:
    [call] = found.calls
    return call


# ── single calls ─────────────────────────────────────────────────────────────────────────────────────


def test_a_query_is_read_from_the_url() -> None:
    found = asked("q.one", input='{"a":[1,null]}')
    assert only(found) == Request(Tag(0), "query", "q.one", {"a": [1, None]})
    assert found.form == "single"


def test_a_mutation_is_read_from_the_body() -> None:
    assert only(asked("m.one", "POST", b'{"a":"\xc3\xbc"}')) == Request(
        Tag(0), "mutation", "m.one", {"a": "ü"}
    )


def test_the_body_of_a_query_and_the_url_of_a_mutation_hold_no_input() -> None:
    assert only(asked("q.one", body=b'{"a":1}')) == Request(Tag(0), "query", "q.one", ABSENT)
    assert only(asked("m.one", "POST", input='{"a":1}')) == Request(Tag(0), "mutation", "m.one", ABSENT)


def test_no_input_is_undefined_and_null_is_null() -> None:
    assert only(asked("q.one")) == Request(Tag(0), "query", "q.one", ABSENT)
    assert only(asked("q.one", input="null")) == Request(Tag(0), "query", "q.one", None)


def test_a_path_is_unquoted() -> None:
    assert only(asked(quote("q.ü"))) == Request(Tag(0), "query", "q.ü", ABSENT)


@pytest.mark.parametrize("path", ["%", "q%2", "q%zz", "%E0%A4%A", "%ff", "%c3"])
def test_a_path_that_cannot_be_unquoted_is_refused(path: str) -> None:
    with pytest.raises(PeerError, match="Invalid URL-encoding in path") as refused:
        asked(path)
    assert refused.value.code == "BAD_REQUEST"


@pytest.mark.parametrize("path", ["", "nope", "q", "q.one.more", "Q.ONE", "../q.one", "q.one/"])
def test_where_there_is_nothing_nothing_is_found(path: str) -> None:
    found = only(asked(path))
    assert isinstance(found, Failure)
    assert (found.code, found.message) == ("NOT_FOUND", f'No procedure found on path "{path}"')


@pytest.mark.parametrize(
    ("path", "method", "right"),
    [("q.one", "POST", "GET"), ("m.one", "GET", "POST"), ("s.one", "POST", "GET"), ("m.one", "PUT", "POST")],
)
def test_the_wrong_method_is_refused_and_the_right_one_told(path: str, method: str, right: str) -> None:
    found = only(asked(path, method))
    assert isinstance(found, Failure)
    assert found.code == "METHOD_NOT_SUPPORTED"
    assert (status([found]), allow([found], KINDS.get)) == (405, right)


def test_an_input_that_cannot_be_read_is_told_to_who_reads_it() -> None:
    call = only(asked("q.one", input="{bad"))
    assert isinstance(call, Request)
    assert isinstance(call.input, Unreadable)
    with pytest.raises(PeerError) as refused:
        Bodies(PLAIN).read(call.input)
    assert refused.value.code == "BAD_REQUEST"


# ── subscriptions ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, {}, None),
        ({"last-event-id": "h"}, {"lastEventId": "q"}, "h"),
        ({"last-event-id": ""}, {"lastEventId": "q", "Last-Event-Id": "Q"}, "q"),
        ({}, {"Last-Event-Id": "Q"}, "Q"),
        ({}, {"lastEventId": ""}, None),
    ],
)
def test_a_subscription_says_where_it_goes_on(
    headers: Mapping[str, str], query: dict[str, str], expected: str | None
) -> None:
    found = read(Letter("GET", "s.one", {**query, "input": '{"k":"v"}'}, headers), KINDS.get)
    assert found.subscription == Request(Tag(0), "subscription", "s.one", {"k": "v"}, expected)
    [call] = read(Letter("GET", "q.one", query, headers), KINDS.get).calls
    assert call == Request(Tag(0), "query", "q.one", ABSENT)


def test_what_is_no_subscription_is_not_taken_for_one() -> None:
    assert asked("q.one").subscription is None
    assert asked("nope").subscription is None
    assert asked("s.one", batch="1").subscription is None


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_numbers_its_calls_and_finds_their_inputs() -> None:
    found = asked("q.one,nope,q.one", batch="1", input='{"0":1,"2":{"a":2},"7":3}')
    assert found.form == "batch"
    assert found.calls[0] == Request(Tag(0), "query", "q.one", 1)
    assert found.calls[2] == Request(Tag(2), "query", "q.one", {"a": 2})
    assert isinstance(found.calls[1], Failure)
    assert found.calls[1].tag == Tag(1)


@pytest.mark.parametrize("indexes", ["-1", "00", "1.0", "x", "", "__proto__"])
def test_an_index_that_is_none_is_nobody_s_input(indexes: str) -> None:
    [first, second] = asked("q.one,q.one", batch="1", input=json.dumps({indexes: 1})).calls
    assert first == Request(Tag(0), "query", "q.one", ABSENT)
    assert second == Request(Tag(1), "query", "q.one", ABSENT)


@pytest.mark.parametrize("text", ["[1]", "1", "null", '"x"'])
def test_a_batch_s_input_is_an_object(text: str) -> None:
    [call] = asked("q.one", batch="1", input=text).calls
    assert isinstance(call, Request)
    assert call.input == Unreadable('"input" needs to be an object when doing a batch call')


def test_commas_part_calls_in_a_batch_only() -> None:
    found = only(asked("q.one,q.one"))
    assert isinstance(found, Failure)
    assert found.code == "NOT_FOUND"
    assert len(asked("q.one%2Cq.one", batch="1").calls) == 2


def test_a_batch_has_a_largest_size() -> None:
    most = Limits().max_batch_length
    assert len(asked(",".join(["q.one"] * most), batch="1").calls) == most
    with pytest.raises(PeerError, match="Batch call exceeds maximum size"):
        asked(",".join(["q.one"] * (most + 1)), batch="1")


def test_kinds_are_not_mixed() -> None:
    with pytest.raises(PeerError, match="Cannot mix procedure types in call: query, mutation"):
        asked("q.one,m.one", batch="1")


def test_subscriptions_are_not_batched() -> None:
    for call in asked("s.one,s.one", batch="1").calls:
        assert isinstance(call, Failure)
        assert (call.code, call.message) == ("BAD_REQUEST", "Cannot batch subscription calls")


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"trpc-accept": "application/jsonl"}, "jsonl"),
        ({"accept": "application/jsonl"}, "jsonl"),
        ({"trpc-batch-mode": "stream"}, "v10-stream"),
        ({}, "batch"),
    ],
)
def test_a_batch_says_how_it_is_answered(headers: Mapping[str, str], form: str) -> None:
    assert asked("q.one", headers=headers, batch="1").form == form


def test_only_a_batch_is_streamed() -> None:
    with pytest.raises(PeerError, match="Streaming requests must be batched"):
        asked("q.one", headers={"trpc-accept": "application/jsonl"})
    assert asked("q.one", headers={"trpc-batch-mode": "stream"}).form == "single"


# ── content types, connection params ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_json_is_taken(content_type: str) -> None:
    check_content(Letter("POST", "m.one", {}, {"content-type": content_type}))


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "multipart/form-data; boundary=x"])
def test_what_is_not_said_to_be_json_is_refused(content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    with pytest.raises(PeerError) as refused:
        check_content(Letter("POST", "m.one", {}, headers))
    assert refused.value.code == "UNSUPPORTED_MEDIA_TYPE"
    check_content(Letter("GET", "q.one", {}, headers))


@pytest.mark.parametrize(
    ("text", "params"), [(None, None), ("null", None), ("{}", {}), ('{"token":"t"}', {"token": "t"})]
)
def test_connection_params_are_an_object_of_texts(text: str | None, params: Mapping[str, str] | None) -> None:
    query = {} if text is None else {"connectionParams": text}
    assert read_params(Letter("GET", "q.one", query, {})) == params


@pytest.mark.parametrize("text", ["", "{bad", "[]", "1", '{"a":1}', '{"a":null}'])
def test_other_connection_params_are_refused(text: str) -> None:
    with pytest.raises(PeerError) as refused:
        read_params(Letter("GET", "q.one", {"connectionParams": text}, {}))
    assert refused.value.code == "PARSE_ERROR"


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────

REFUSED = Failure(Tag(0), "CONFLICT", "no", "m.one", {"revision": 3})


def test_answers_are_written_as_clients_read_them() -> None:
    bodies = Bodies(PLAIN)
    shape = {
        "message": "no",
        "code": -32009,
        "data": {"code": "CONFLICT", "httpStatus": 409, "path": "m.one", "revision": 3},
    }
    assert json.loads(bodies.answer(Data(Tag(0), b'{"a":1}'))) == {"result": {"data": {"a": 1}}}
    assert json.loads(bodies.answer(Data(Tag(0), None))) == {"result": {}}
    assert json.loads(bodies.answer(REFUSED)) == {"error": shape}
    assert json.loads(bodies.array([Data(Tag(0), b"1"), REFUSED])) == [
        {"result": {"data": 1}},
        {"error": shape},
    ]


def test_the_status_is_that_of_all_or_multi_status() -> None:
    fine = Data(Tag(0), b"1")
    assert status([fine, fine]) == 200
    assert status([REFUSED, REFUSED]) == 409
    assert status([fine, REFUSED]) == 207
    assert allow([fine, REFUSED], KINDS.get) is None


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(["input", "batch", "connectionParams", "lastEventId", "transformer"]) | st.text()
PARTS: st.SearchStrategy[Any] = st.sampled_from([*KINDS, "q%2", ",", "%2C", ""]) | st.text(max_size=5)


@given(
    st.sampled_from(["GET", "POST", "PUT", "BREW"]),
    st.lists(PARTS, max_size=5).map(",".join),
    st.dictionaries(NAMES, st.sampled_from(["1", "{}", "{bad", '{"0":1}', "[[[["]) | st.text(), max_size=4),
    st.dictionaries(
        st.sampled_from(["accept", "trpc-accept", "trpc-batch-mode", "last-event-id"]), st.text()
    ),
    st.binary(max_size=20) | st.sampled_from([b"{}", b'{"0":{}}', b"\xff", b"[" * 5000]),
)
def test_whatever_is_asked_is_read_or_refused(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    letter = Letter(method, path, query, headers, body)
    with suppress(PeerError):
        check_content(letter)
    with suppress(PeerError):
        read_params(letter)
    try:
        found = read(letter, KINDS.get)
    except PeerError:
        return
    assert [call.tag.id for call in found.calls] == list(range(len(found.calls)))
    assert 0 < len(found.calls) <= Limits().max_batch_length
