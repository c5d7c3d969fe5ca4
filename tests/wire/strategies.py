"""What peers may say and what hubs may answer, for Hypothesis."""

from __future__ import annotations

import json
import string
from typing import Any, get_args

from hypothesis import strategies as st

from adohub.errors import ErrorCode
from adohub.model import Event, Position
from adohub.wire.messages import Tag

UNICODE = st.characters(exclude_categories=["Cs"])
HALVES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)
"""Surrogates: what JavaScript's `slice` leaves of an emoji."""

texts = st.text(UNICODE, max_size=20)
torn_texts = st.text(UNICODE | HALVES, max_size=20)
exact_integers = st.integers(-(2**53), 2**53)
"""Those that JavaScript can hold."""

scalars = (
    st.none() | st.booleans() | exact_integers | st.floats(allow_nan=False, allow_infinity=False) | texts
)


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    )


values = nested(scalars, texts)
objects = st.dictionaries(texts, values, max_size=4)

request_ids = exact_integers | st.just(0) | texts | st.floats(allow_nan=False, allow_infinity=False)
tags = st.builds(Tag, request_ids, st.booleans())
nobodys_tags = st.just(Tag(None))
codes: st.SearchStrategy[ErrorCode] = st.sampled_from(get_args(ErrorCode))
paths = st.sampled_from(["hub.health", "stream.onTaskProgress", "", 'quoted "path"', "pfad.größe"])

positions = st.builds(
    Position,
    st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=32),
    st.integers(0, 2**64 - 1),
)
bodies = objects.map(lambda payload: json.dumps(payload, ensure_ascii=False).encode())
events = st.builds(
    Event,
    position=positions,
    topic=st.sampled_from(["task.progress", "agent.output", "a.b-c_d"]),
    key=st.none() | texts,
    body=bodies,
    timestamp=st.just("2026-01-02T03:04:05.678Z"),
)


def spoiled(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of `fields`, each as it should be or anything at all."""
    return st.fixed_dictionaries({}, optional={name: good | values for name, good in fields.items()})


methods = st.sampled_from(["query", "mutation", "subscription", "subscription.stop", "connectionParams"])
params = spoiled({"path": paths, "input": values, "lastEventId": texts})
nearly_requests = spoiled({"id": request_ids, "jsonrpc": st.just("2.0"), "method": methods, "params": params})
"""Requests, and what a careless client might send in place of one."""
