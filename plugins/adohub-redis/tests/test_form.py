"""What is written on the channel is what was meant, to whoever reads JSON, and nothing else is read there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from adohub_redis import form
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text('a"\\\n\té✓', max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(st.sampled_from(["type", "payload", "taskId", "n"]), VALUES, max_size=3)


def body_of(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


@given(PAYLOADS)
def test_what_is_written_is_read_as_it_was(payload: dict[str, Any]) -> None:
    text = form.written("garden.tick", body_of(payload))
    assert form.is_ours(text)
    assert form.read(text) == ("garden.tick", payload)


def test_a_payload_stands_beside_its_type() -> None:
    text = form.written("task.progress", b'{"taskId":"t","progress":5}')
    assert text.strip() == b'{"type":"task.progress","taskId":"t","progress":5}'
    assert form.written("a.b", b"{}").strip() == b'{"type":"a.b"}'


@pytest.mark.parametrize("payload", [{"type": "stdout"}, {"payload": {"n": 1}}])
def test_a_payload_that_could_be_misread_is_said_whole(payload: dict[str, Any]) -> None:
    assert json.loads(form.written("a.b", body_of(payload))) == {"type": "a.b", "payload": payload}


def test_a_member_named_payload_is_one_among_others() -> None:
    said = {"type": "a.b", "payload": {"n": 1}, "timestamp": "2026-01-01T00:00:00.000Z"}
    assert form.read(body_of(said)) == ("a.b", {key: said[key] for key in ("payload", "timestamp")})
    assert form.read(body_of({"type": "a.b", "payload": 1})) == ("a.b", {"payload": 1})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no JSON"),
        (b'{"type":"a.b"', "no JSON"),
        (b'{"type":"a.b","n":NaN}', "no JSON"),
        (b'{"type":"a.b","s":"\xff"}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'"a.b"', "no JSON object"),
        (b'{"taskId":"t"}', "its type"),
        (b'{"type":{"a":1}}', "its type"),
        (b'{"type":"worker.command","workerId":"w"}', "not for the channel"),
        (b'{"type":"a.b","s":"%b"}' % (b"x" * form.MOST_BYTES), "too long"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(text: bytes, reason: str) -> None:
    with pytest.raises(form.UnfitError, match=reason):
        form.read(text)


@given(st.binary(max_size=40))
def test_whatever_is_said_is_read_or_refused(text: bytes) -> None:
    try:
        topic, payload = form.read(text)
    except form.UnfitError:
        return
    assert isinstance(topic, str)
    assert isinstance(payload, dict)
