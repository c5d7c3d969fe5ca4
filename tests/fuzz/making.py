"""What is nearly in order: real bytes, spoiled, and messages in which some part is of another kind."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import partial
from typing import Any

from hypothesis import strategies as st
from ormsgpack import packb

from tests.fuzz import seeds
from tests.fuzz.mutations import mutated

UNTRUE_RANDOM = st.randoms(use_true_random=False)
SPOILS_ONE_IN = 8
"""Of so many parts about one is of another kind."""


def mutations(whole: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes of real clients, spoiled."""
    return st.builds(partial(mutated, seeds=whole), UNTRUE_RANDOM)


is_spoiled = st.integers(0, SPOILS_ONE_IN - 1).map(lambda number: number == SPOILS_ONE_IN - 1)

# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────

PROTOTYPE_KEYS = ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty")
ODD_JSON = (
    *("null", "true", "false", "0", "-0", "-0.0", "1e-400", "1e400", "-1e400", "1E+2", "0.1e1", "9" * 500),
    *(
        str(2**53),
        str(2**63),
        str(2**64),
        str(-(2**63) - 1),
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        ".5",
        "+1",
    ),
    *(
        '""',
        '"\\ud83d"',
        '"\\ude00\\ud83d"',
        '"\\u0000"',
        '"\\x"',
        '"\ufeff"',
        '"\u2028"',
        "'a'",
        '"' + "é" * 400 + '"',
    ),
    *(
        "[]",
        "{}",
        "[,]",
        "[1,]",
        '{"a":1,}',
        '{"a":1,"a":2}',
        "{a:1}",
        "[" * 200 + "]" * 200,
        "[" * 2000,
        '{"a":' * 300,
    ),
    *(f'{{"{key}":{{"a":1}}}}' for key in PROTOTYPE_KEYS),
    *(
        '{"json":1,"meta":{"values":["Date"]}}',
        '{"json":{"a":"x"},"meta":{"values":{"a":["Date"]}}}',
        "/*c*/1",
        "undefined",
    ),
)


@st.composite
def json_texts(draw: st.DrawFn, value: Any) -> str:
    """`value` in JSON, or nearly so."""
    if draw(is_spoiled):
        return draw(st.sampled_from(ODD_JSON))
    if isinstance(value, dict):
        pairs = [(name, draw(json_texts(item))) for name, item in value.items() if not draw(is_spoiled)]
        if draw(is_spoiled):
            pairs.append(
                (draw(st.sampled_from([*PROTOTYPE_KEYS, *value, "", "a.b", "\ud83d"])), draw(json_texts(1)))
            )
        return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in pairs) + "}"
    if isinstance(value, list):
        times = draw(st.sampled_from([1, 1, 1, 1, 0, 3]))
        return "[" + ",".join(draw(json_texts(item)) for item in value * times) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


calls = st.sampled_from(seeds.calls())
json_messages = calls.flatmap(json_texts) | st.lists(calls, max_size=3).flatmap(json_texts)
superjson_inputs = st.sampled_from([json.loads(text) for text in seeds.superjsons()]).flatmap(json_texts)

# ── MessagePack ──────────────────────────────────────────────────────────────────────────────────────────

ODD_PACKED = (
    *(b"\xc0", b"\xc1", b"\xc2", b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xff", b"\x7f"),
    *(
        b"\xc4\x00",
        b"\xc4\x03\xff\x00\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xd9\xff",
        b"\xa3\xff\xfe\xfd",
    ),
    *(
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xde\x00\x01",
        b"\x81\x01\x01",
        b"\x81\xc4\x01a\x01",
        b"\x82\xa1a\x01\xa1a\x02",
    ),
    *(
        b"\xd4\x00\x00",
        b"\xd4\x01\x00",
        b"\xd4\xff\x00",
        b"\xd6\xff" + bytes(4),
        b"\xd7\xff" + b"\xff" * 8,
        b"\xc7\x0c\xff" + b"\xff" * 12,
    ),
    *(b"\xc7\x00\x05", b"\xc9\xff\xff\xff\xff\x05", b"\xd8\x2a" + bytes(16)),
    *(
        struct.pack("!Bd", 0xCB, number)
        for number in (float("nan"), float("inf"), -0.0, 2.0**53, 2.0**60, 5e-324)
    ),
    *(
        b"\xca\x7f\xc0\x00\x00",
        b"\xca\x4f\x00\x00\x00",
        b"\x91" * 2000,
        b"\x91" * 200 + b"\xc0",
        b"\x81\xa1a" * 300,
    ),
    *(b"\x81" + packb(key) + b"\x81\xa1a\x01" for key in PROTOTYPE_KEYS),
)


@st.composite
def packed_values(draw: st.DrawFn, value: Any) -> bytes:
    """`value` in MessagePack, or nearly so."""
    if draw(is_spoiled):
        return draw(st.sampled_from(ODD_PACKED))
    if isinstance(value, dict) and len(value) < 15:
        pairs = [draw(packed_values(name)) + draw(packed_values(item)) for name, item in value.items()]
        return bytes((0x80 | len(pairs) + draw(is_spoiled),)) + b"".join(pairs)
    if isinstance(value, list) and len(value) < 15:
        return bytes((0x90 | len(value) + draw(is_spoiled),)) + b"".join(
            draw(packed_values(item)) for item in value
        )
    return packb(value)


packed_messages = calls.flatmap(packed_values)
