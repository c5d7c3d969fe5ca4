"""MessagePack: binary frames to noted plain values, and back.

Law: it says what JSON says, and octets besides. What comes in becomes plain JSON values, octets and times as
noted text; whatever JSON cannot say even with notes is refused. What goes out is the JSON, but octets where
they are noted.

Sources: the MessagePack specification, for the timestamp extension type -1; @msgpack/msgpack 3 and msgpackr
2, for what they make of JavaScript's values.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import blake2b
from math import isfinite
from typing import Any

import orjson
from ormsgpack import OPT_DATETIME_AS_TIMESTAMP_EXT, packb, unpackb

from adohub.model import timestamp
from adohub.notes import Note, Tree, gathered, noted_text, spelled
from adohub.structuring import Marks
from adohub.wire.decode import Malformed
from adohub.wire.encode import json_bytes
from adohub.wire.messages import ABSENT

# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────

_UNDEFINED = b"\xd4\x00\x00"
"""What msgpackr makes of `undefined`: one byte of its extension type 0."""

_search_for_more_than_json = re.compile(
    rb"\xc4|\xc5|\xc6"  # octets
    rb"|\xd6\xff|\xd7\xff|\xc7\x0c\xff"  # a time
    rb"|\xd4\x00\x00"
    rb"|\xca[\x7f\xff][\x80-\xff]|\xcb[\x7f\xff][\xf0-\xff]"  # no finite number
    rb"|\xca[\x4f-\x5a\xcf-\xda]|\xcb[\x41-\x43\xc1-\xc3]"  # an integer as a float
).search
"""Finds whatever must be looked at; what it finds may also be a part of a text, or of a number.

Each branch begins with one byte: so Python looks for those bytes alone, in a quarter of the time.
"""

_MOST_EXACT = 2**53
"""Up to here a float holds every integer. msgpackr writes one of more than 32 bits so; JSON's form is one."""


def unpack(frame: bytes) -> Any:
    """The value in `frame`, which is all of it: plain, with notes where there are octets or times.

    A property of msgpackr's that is undefined is left out, in a list null stands for it; ABSENT if that is
    all. Raises Malformed: no MessagePack, a key that is no text, an extension, a number that JSON has not,
    too deep.
    """
    # It is read as the first of two: where the second is not the mark, the value ends before the frame does,
    # which `unpackb` does not tell. A digest of the whole frame is nothing that could be written into it.
    mark = blake2b(frame, digest_size=16).digest()
    try:
        value, end = unpackb(
            b"\x92" + frame + packb(mark), ext_hook=_extension, option=OPT_DATETIME_AS_TIMESTAMP_EXT
        )
    except ValueError as error:
        raise Malformed(f"Not MessagePack: {error}") from error
    if end != mark:
        raise Malformed("Not MessagePack: more than one value")
    if _search_for_more_than_json(frame) is None:
        return value
    try:
        plain = spelled(value, _spell)
    except ValueError as error:
        raise Malformed(f"MessagePack: what it says {error}") from error
    if _UNDEFINED in frame:
        _leave_out_absent(plain)
    return plain


def _extension(tag: int, content: bytes) -> Any:
    if tag == 0 and content == b"\x00":
        return ABSENT
    raise ValueError


def _spell(leaf: Any) -> Any:
    """`leaf`, one of the classes that `unpackb` makes, as JSON has it."""
    if leaf is ABSENT:
        return leaf
    if isinstance(leaf, float):
        if not isfinite(leaf):
            raise ValueError(f"has the number {leaf}, which JSON has not")
        return int(leaf) if leaf.is_integer() and 2**31 <= abs(leaf) <= _MOST_EXACT else leaf
    if isinstance(leaf, bytes):
        return noted_text(b64encode(leaf).decode("ascii"), "bytes")
    return noted_text(timestamp(leaf), "Date")


def _leave_out_absent(container: Any) -> None:
    if isinstance(container, dict):
        for key in [key for key, item in container.items() if item is ABSENT]:
            del container[key]
        for item in container.values():
            _leave_out_absent(item)
    elif isinstance(container, list):
        container[:] = [None if item is ABSENT else item for item in container]
        for item in container:
            _leave_out_absent(item)


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────


_search_for_what_clients_misread = re.compile(rb"\xcf|\xd3|\xa9__proto__").search
"""Finds integers of more than 32 bits and the key `__proto__`, or parts of something else that look so."""


def pack(value: Any, notes: Sequence[Note] = ()) -> bytes:
    """`value`, plain JSON, as MessagePack; base64 text that is noted as "bytes" becomes octets.

    A long integer is written as a float if that holds it exactly: msgpackr reads integers of 64 bits as
    BigInts, where JSON gives a number. A key `__proto__` is left out: @msgpack/msgpack reads nothing that has
    one, so who publishes it would break who subscribes.
    """
    octets = [note for note in notes if note[1] == "bytes"] if notes else ()
    if octets:
        value = _with_octets(value, Tree.of(octets))
    packed = packb(value)
    return packb(_readable(value)) if _search_for_what_clients_misread(packed) else packed


def pack_json(json: bytes, notes: Sequence[Note] = ()) -> bytes:
    """`pack` for a value whose JSON is `json`."""
    return pack(orjson.loads(json), notes)


def pack_value(value: Any, marks: Marks | None = None) -> bytes:
    """`value` as MessagePack: JSON-ready, with noted values in it perhaps, and of the type of `marks`.

    What JSON makes of it is packed, so that both tell the same. Raises TypeError like `json_bytes`.
    """
    return pack_json(json_bytes(value), (*gathered(value), *(marks.find(value) if marks else ())))


def packed_text(text: str) -> bytes:
    """A text as a part of a larger whole."""
    return packb(text)


def map_header(count: int) -> bytes:
    """What a map of `count` keys begins with; so many pairs of packed keys and values follow it."""
    return bytes((0x80 | count,)) if count < 16 else b"\xdf" + count.to_bytes(4)


def _with_octets(value: Any, tree: Tree) -> Any:
    """A copy of `value` with octets where `tree` says, if they are base64 text."""
    if isinstance(value, str) and tree.kind is not None:
        try:
            return b64decode(value, validate=True)
        except ValueError:
            return value
    if isinstance(value, dict):
        return value | {
            step: _with_octets(value[step], part) for step, part in tree.parts.items() if step in value
        }
    if isinstance(value, list):
        parts = tree.parts
        return [
            _with_octets(item, parts[index]) if index in parts else item for index, item in enumerate(value)
        ]
    return value


def _readable(value: Any) -> Any:
    """A copy of `value` with floats for long integers that are exactly so, and without `__proto__`."""
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items() if key != "__proto__"}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, int) and not -(2**31) <= value < 2**32 and abs(value) <= _MOST_EXACT:
        return float(value)
    return value
