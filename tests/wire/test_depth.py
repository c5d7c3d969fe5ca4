"""How deep a value nests is told exactly, and without looking at values that cannot be deep."""

from __future__ import annotations

import json
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adohub.errors import OverLimit
from adohub.wire.depth import check_depth, may_be_deep

MOST = 5

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=3)
    | st.sampled_from(["[[[[[[", "{", "},{", "],[],[", "]]]]]]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    """By the definition, which calls itself."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(values)
def test_deeper_than_allowed_is_refused_and_nothing_else(value: Any) -> None:
    if depth_of(value) <= MOST:
        check_depth(value, MOST)
    else:
        with pytest.raises(OverLimit) as refused:
            check_depth(value, MOST)
        assert refused.value.limit == "max_json_depth"


@given(values)
def test_what_is_too_deep_is_always_suspected(value: Any) -> None:
    compact = json.dumps(value, separators=(",", ":"))
    encoded: list[str | bytes] = [json.dumps(value), compact, compact.encode(), ormsgpack.packb(value)]
    if depth_of(value) > MOST:
        assert all(may_be_deep(each, MOST) for each in encoded)


def test_an_ordinary_message_is_not_suspected() -> None:
    message = json.dumps(
        {"id": 1, "method": "mutation", "params": {"path": "a.b", "input": {"a": [1, 2, 3]}}}
    )
    assert not may_be_deep(message, MOST)
    assert not may_be_deep(message.encode(), MOST)
    assert not may_be_deep(ormsgpack.packb({"a": 1}), MOST)


def test_nor_is_a_batch_of_ordinary_events() -> None:
    """A hundred objects one beside the other nest no deeper than one."""
    event = {"topic": "a.b", "payload": {"taskId": "t", "message": "x"}}
    batch = json.dumps({"params": {"input": {"events": [event] * 100}}}, separators=(",", ":"))
    assert not may_be_deep(batch, 128)
