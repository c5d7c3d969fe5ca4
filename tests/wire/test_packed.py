"""MessagePack says what JSON says, and octets besides; whatever else comes in is refused in one way."""

from __future__ import annotations

import struct
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import orjson
import ormsgpack
import pytest
from attrs import frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adohub.notes import MOST_LEVELS, MOST_NOTES, MOST_STEPS, NOTED, Notes, gathered, notes_of
from adohub.structuring import wire
from adohub.wire.decode import Malformed
from adohub.wire.messages import ABSENT
from adohub.wire.packed import map_header, pack, pack_json, pack_value, packed_text, unpack
from tests.wire.strategies import nested, scalars, texts

patiently = settings(deadline=None)

keys = texts.filter(lambda key: key != "__proto__")  # which is left out
binary_values = nested(scalars | st.binary(max_size=20), keys)
plain_values = nested(scalars, keys)


def without_octets(value: Any) -> Any:
    """`value` as JSON has it, spelt out."""
    match value:
        case bytes():
            return b64encode(value).decode()
        case dict():
            return {key: without_octets(item) for key, item in value.items()}
        case list():
            return [without_octets(item) for item in value]
    return value


def nest(leaf: bytes, levels: int) -> bytes:
    return b"\x91" * levels + leaf


# ── there and back ───────────────────────────────────────────────────────────────────────────────────


@patiently
@given(binary_values)
def test_what_is_unpacked_is_plain_and_packs_to_what_it_was(value: Any) -> None:
    frame = ormsgpack.packb(value)
    plain = unpack(frame)
    assert plain == without_octets(value)
    again = pack(plain, notes_of(plain))
    assert ormsgpack.unpackb(again) == value
    assert pack_json(orjson.dumps(plain), notes_of(plain)) == again


@patiently
@given(plain_values)
def test_what_is_plain_is_not_looked_at_twice(value: Any) -> None:
    """It has no notes anywhere, and is what any MessagePack reader makes of it."""
    read = unpack(ormsgpack.packb(value))
    assert (read, gathered(read)) == (value, ())


def test_octets_are_base64_text_with_a_note() -> None:
    value = unpack(ormsgpack.packb({"a": b"\x00\x01", "b": [1, {"c": b""}]}))
    assert value == {"a": "AAE=", "b": [1, {"c": ""}]}
    assert notes_of(value) == ((("a",), "bytes"), (("b", 1, "c"), "bytes"))


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        (b"\xd6\xff" + struct.pack(">I", 1), "1970-01-01T00:00:01.000Z"),
        (b"\xd7\xff" + struct.pack(">Q", (678_900_000 << 34) | 1_767_323_045), "2026-01-02T03:04:05.678Z"),
        (b"\xc7\x0c\xff" + struct.pack(">Iq", 999_000_000, -1), "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_timestamp_is_the_text_of_the_time_with_a_note(extension: bytes, text: str) -> None:
    value = unpack(b"\x92" + extension + b"\xa1x")
    assert (value, notes_of(value)) == ([text, "x"], (((0,), "Date"),))
    assert notes_of(unpack(extension)) == (((), "Date"),)


def test_undefined_of_msgpackr_is_not_there() -> None:
    undefined = b"\xd4\x00\x00"
    value = unpack(
        b"\x83\xa1a" + undefined + b"\xa1b\x93\x01" + undefined + b"\xc4\x01x\xa1c\x81\xa1d" + undefined
    )
    assert value == {"b": [1, None, "eA=="], "c": {}}
    assert notes_of(value) == ((("b", 2), "bytes"),)
    assert unpack(undefined) is ABSENT


@pytest.mark.parametrize("number", [2**32, -(2**31) - 1, -(2**40) - 1, 2**53, -(2**53)])
def test_an_integer_that_came_as_a_float_is_an_integer(number: int) -> None:
    """JavaScript has one kind of number, and its JSON no fraction where there is none."""
    [read] = unpack(b"\x91\xcb" + struct.pack(">d", number))
    assert (read, type(read)) == (number, int)


@pytest.mark.parametrize("number", [2**32, -(2**31) - 1, -(2**40) - 1, 2**53, -(2**53)])
def test_a_long_integer_goes_out_as_a_float_that_is_the_same(number: int) -> None:
    """msgpackr would make a BigInt of it."""
    packed = pack({"long": [number]})
    [read] = ormsgpack.unpackb(packed)["long"]
    assert (read, type(read)) == (number, float)
    assert unpack(packed) == {"long": [number]}


@pytest.mark.parametrize("number", [True, 1, -(2**31), 2**32 - 1, 2**53 + 1, 2**64 - 1, -(2**63)])
def test_other_integers_go_out_as_they_are(number: int) -> None:
    [read, _] = ormsgpack.unpackb(pack([number, 2**40]))
    assert (read, type(read)) == (number, type(number))


def test_a_key_that_clients_refuse_is_left_out_and_a_text_like_it_is_not() -> None:
    value = {"a": [{"__proto__": {"b": 1}, "c": "__proto__"}], "constructor": 1}
    assert ormsgpack.unpackb(pack(value)) == {"a": [{"c": "__proto__"}], "constructor": 1}


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, 0.5, 2**32 + 0.5, 2.0**60, -1e300])
def test_other_floats_stay_what_they_are(number: float) -> None:
    for beside in (b"\x01", b"\xc4\x00"):
        read = unpack(b"\x92\xcb" + struct.pack(">d", number) + beside)[0]
        assert (str(read), type(read)) == (str(float(number)), float)


@frozen
class Upload:
    """A type with octets and a time."""

    content: bytes
    at: datetime
    meta: Any = None


def test_octets_and_times_are_read_into_typed_fields() -> None:
    frame = ormsgpack.packb(
        {"content": b"\xff", "at": datetime(2026, 1, 2, tzinfo=UTC), "meta": {"x": b""}},
        option=ormsgpack.OPT_DATETIME_AS_TIMESTAMP_EXT,
    )
    upload = wire.structure(unpack(frame), Upload)
    assert upload == Upload(b"\xff", datetime(2026, 1, 2, tzinfo=UTC), {"x": ""})
    assert notes_of(upload.meta) == ((("x",), "bytes"),)
    assert wire.unstructure(upload)["content"] == "/w=="


def test_what_is_noted_and_is_no_base64_stays_text() -> None:
    notes: Notes = ((("a",), "bytes"), (("b", 0), "bytes"), (("b", 7), "bytes"), (("n",), "bytes"))
    value = {"a": "not base64!", "b": ["AAE="], "n": 1}
    assert ormsgpack.unpackb(pack(value, notes)) == {"a": "not base64!", "b": [b"\x00\x01"], "n": 1}


def test_other_notes_change_nothing() -> None:
    assert pack({"at": "x"}, [(("at",), "Date")]) == pack({"at": "x"})


def test_packing_changes_nothing_of_what_is_packed() -> None:
    value = {"a": ["AAE="]}
    pack(value, [(("a", 0), "bytes")])
    assert value == {"a": ["AAE="]}


def test_an_answer_has_octets_by_its_type_and_by_the_noted_values_in_it() -> None:
    value = {"content": "/w==", "at": "2026-01-02T00:00:00.000Z", "meta": [unpack(b"\x91\xc4\x01x")]}
    expected = {"content": b"\xff", "at": "2026-01-02T00:00:00.000Z", "meta": [[b"x"]]}
    assert ormsgpack.unpackb(pack_value(value, wire.marks(Upload))) == expected
    assert ormsgpack.unpackb(pack_value(value)) == expected | {"content": "/w=="}


def test_an_answer_is_what_json_makes_of_it() -> None:
    assert ormsgpack.unpackb(pack_value({"a": float("nan"), "b": (1, 2)})) == {"a": None, "b": [1, 2]}
    with pytest.raises(TypeError):
        pack_value({"a": b"octets that nobody has spelled"})


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_536])
def test_a_map_can_be_put_together_of_its_parts(count: int) -> None:
    parts = b"".join(packed_text(f"k{number}") + pack([number]) for number in range(count))
    assert ormsgpack.unpackb(map_header(count) + parts) == {f"k{number}": [number] for number in range(count)}


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x92\x01",
        b"\x01\x01",
        b"\x01\xc1",
        b"\xc0\xc0",
        b"\x80\x91",
        b"\xa2a",
        b"\xa1\xff",
        b"\xa3\xed\xa0\x80",
        b"\x81\x01\x02",
        b"\x81\xc4\x01a\x02",
        b"\x81\xc0\x02",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xcb" + struct.pack(">d", float("nan")),
        b"\x91\xcb" + struct.pack(">d", float("-inf")),
        b"\x91\xca" + struct.pack(">f", float("inf")),
        b"\xd4\x01\x00",
        b"\xd4\x00\x01",
        b"\xd4\xff\x00",
        b"\xc7\x0c\xff" + struct.pack(">Iq", 0, 2**60),
        b"\xd7\xff" + b"\xff" * 8,
        b"\x81\xd4\x00\x00\x01",
        nest(b"\x01", 5000),
        nest(b"\xcb" + struct.pack(">d", 2**40), MOST_LEVELS + 1),
        nest(b"\xc4\x00", MOST_STEPS + 1),
        b"\xdd" + (MOST_NOTES + 1).to_bytes(4) + b"\xc4\x00" * (MOST_NOTES + 1),
        b'{"id":1}',
    ],
    ids=lambda frame: frame[:8].hex(),
)
def test_what_is_no_messagepack_or_says_more_than_json_is_refused(frame: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(frame)


def test_what_is_just_not_too_deep_is_read() -> None:
    assert notes_of(unpack(nest(b"\xc4\x00", MOST_STEPS))) == (((0,) * MOST_STEPS, "bytes"),)


@patiently
@given(binary_values, st.binary(min_size=1, max_size=4), st.data())
def test_a_value_cut_short_and_one_with_more_behind_it_are_refused(
    value: Any, more: bytes, data: st.DataObject
) -> None:
    frame = ormsgpack.packb(value)
    for wrong in (frame + more, frame[: data.draw(st.integers(0, len(frame) - 1))]):
        with pytest.raises(Malformed):
            unpack(wrong)


@pytest.mark.parametrize("text", ["end0", "end1", "end0end1end2"])
def test_where_a_value_ends_is_known_whatever_it_says(text: str) -> None:
    packed = ormsgpack.packb(text)
    assert unpack(packed) == text
    for wrong in (packed + packed, b"\x01" + packed, packed + b"\xd9\x04", packed + b"\xa5", packed[:-1]):
        with pytest.raises(Malformed):
            unpack(wrong)


heads = st.sampled_from(
    [bytes((byte,)) for byte in range(0x80, 0x100)] + [b"\xd4\x00", b"\xd6\xff", b"\xcb\x7f\xf8"]
)
frame_like = st.lists(heads | st.binary(max_size=6), max_size=12).map(b"".join)


@settings(deadline=None, max_examples=500)
@example(b"\xc7\x00\x00")
@given(frame_like | st.binary(max_size=40))
def test_any_bytes_are_unpacked_or_malformed_and_what_is_unpacked_is_json(frame: bytes) -> None:
    try:
        value = unpack(frame)
    except Malformed:
        return
    if value is not ABSENT:
        notes = value.notes if value.__class__ in NOTED else ()
        json = orjson.dumps(value)
        assert unpack(pack_json(json, notes)) == orjson.loads(json)


def test_no_text_in_a_frame_can_hold_up_its_reading() -> None:
    """What ends a frame is nothing that its writer can know."""
    text = "".join(f"end{number}" for number in range(100_000))
    assert unpack(ormsgpack.packb(text)) == text
