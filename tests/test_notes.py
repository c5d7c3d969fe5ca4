"""Notes stay with their values: attached, found again, kept as bytes, and never in the way of the value."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub import notes
from adohub.notes import NOTED, Kind, NotedList, NotedObject, NotedText, Notes, noted_text
from adohub.structuring import wire

patiently = settings(deadline=None)

VALUE = {"at": "2026-01-02T03:04:05.678Z", "seen": ["1", {"deep": ["AAE="]}], "n": 1}
NOTES: Notes = (
    (("at",), "Date"),
    (("seen",), "set"),
    (("seen", 0), "bigint"),
    (("seen", 1, "deep", 0), "bytes"),
    (("gone",), "undefined"),
)

kinds: st.SearchStrategy[Kind] = st.sampled_from(
    ["Date", "undefined", "bigint", "bytes", "map", ("typed-array", "Uint8Array"), ("class", "Order")]
)
steps = st.text(max_size=4) | st.integers(0, 9)
paths = st.lists(steps, max_size=5).map(tuple)
any_notes = st.dictionaries(paths, kinds, max_size=8).map(lambda found: tuple(found.items()))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def test_a_noted_value_is_the_value_to_whoever_knows_of_no_notes() -> None:
    value = notes.noted(VALUE, NOTES)
    assert value == VALUE
    assert orjson.dumps(value) == orjson.dumps(VALUE)
    assert notes.notes_of(value) == NOTES


def test_every_part_on_the_way_to_a_note_carries_what_is_in_it() -> None:
    value = notes.noted(VALUE, NOTES)
    assert isinstance(value["at"], NotedText)
    assert isinstance(value["seen"], NotedList)
    assert isinstance(value["seen"][1], NotedObject)
    assert value["at"].notes == (((), "Date"),)
    assert value["seen"].notes == (((), "set"), ((0,), "bigint"), ((1, "deep", 0), "bytes"))
    assert value["seen"][1]["deep"].notes == (((0,), "bytes"),)


def test_attaching_changes_nothing_but_the_copy() -> None:
    value = {"at": ["x"]}
    notes.noted(value, [(("at", 0), "Date")])
    assert notes.gathered(value) == ()
    assert notes.noted(value, ()) is value


def test_what_is_noted_twice_keeps_all_notes_and_the_later_word_counts() -> None:
    once = notes.noted(VALUE, [(("at",), "Date"), (("seen", 0), "bigint")])
    twice = notes.noted(once, [(("at",), ("custom", "moment"))])
    assert dict(notes.notes_of(twice)) == {("at",): ("custom", "moment"), ("seen", 0): "bigint"}


@patiently
@given(values, any_notes)
def test_notes_are_found_again_wherever_they_lie(value: Any, given_notes: Notes) -> None:
    made = notes.noted(value, given_notes)
    assert made == value
    if made.__class__ in NOTED:
        assert dict(notes.notes_of(made)) == dict(given_notes)


@patiently
@given(values, any_notes)
def test_what_is_gathered_is_what_was_attached_with_the_place_of_it(value: Any, given_notes: Notes) -> None:
    inner = notes.noted(value, given_notes)
    outer = {"events": [1, ({"payload": inner},)]}
    expected = notes.notes_of(inner) if inner.__class__ in NOTED else ()
    if inner.__class__ in NOTED or isinstance(value, int | None):
        assert notes.gathered(outer) == notes.below(expected, "events", 1, 0, "payload")


@patiently
@given(any_notes)
def test_notes_come_back_from_bytes(given_notes: Notes) -> None:
    kept = notes.to_bytes(given_notes)
    assert dict(notes.from_bytes(kept)) == dict(given_notes)
    assert (kept == b"") is (given_notes == ())


def test_a_digit_that_is_a_key_and_an_index_are_not_mixed_up() -> None:
    given_notes: Notes = ((("0", 0), "Date"), ((0, "0"), "map"))
    assert notes.from_bytes(notes.to_bytes(given_notes)) == given_notes


def test_the_notes_of_a_plain_object_are_those_of_its_fields() -> None:
    payload = {"op": "set", "value": notes.noted(["1"], [((0,), "bigint")]), "at": noted_text("x", "Date")}
    assert notes.notes_of(payload) == ((("value", 0), "bigint"), (("at",), "Date"))
    assert notes.notes_of(["1"]) == notes.notes_of(None) == ()


# ── through the structurer ───────────────────────────────────────────────────────────────────────────────


@frozen
class Reading:
    """Fields of all kinds."""

    name: str
    at: Any
    moment: Any
    items: list[Any]
    fields: dict[str, Any]


def test_notes_reach_whatever_takes_anything() -> None:
    given_value = notes.noted(
        {"name": "n", "at": "1", "moment": {"a": "b"}, "items": ["1"], "fields": {"x": ["y"]}},
        [
            (("name",), "URL"),
            (("at",), "bigint"),
            (("moment", "a"), "Date"),
            (("moment", "gone"), "undefined"),
            (("items", 0), "bigint"),
            (("fields", "x", 0), "Date"),
        ],
    )
    read = wire.structure(given_value, Reading)
    assert read == Reading("n", "1", {"a": "b"}, ["1"], {"x": ["y"]})
    assert notes.notes_of(read.at) == (((), "bigint"),)
    assert notes.notes_of(read.moment) == ((("a",), "Date"), (("gone",), "undefined"))
    assert notes.gathered(read.items) == (((0,), "bigint"),)
    assert notes.gathered(read.fields) == ((("x", 0), "Date"),)


def test_what_is_written_of_a_typed_object_still_has_them() -> None:
    moment = notes.noted({"a": ["b"]}, [(("a", 0), "Date"), (("gone",), "undefined")])
    written = wire.unstructure(Reading("n", noted_text("1", "bigint"), moment, [], {}))
    assert notes.gathered(written) == (
        (("at",), "bigint"),
        (("moment", "a", 0), "Date"),
        (("moment", "gone"), "undefined"),
    )


# ── what JSON cannot say ─────────────────────────────────────────────────────────────────────────────────


def spell(leaf: Any) -> Any:
    return noted_text(leaf.hex(), "bytes") if isinstance(leaf, bytes) else leaf


def test_what_json_cannot_say_is_spelled_and_noted() -> None:
    value = notes.spelled({"a": (1, b"\x01", {"b": b"\x02"}), "c": [True, None]}, spell)
    assert value == {"a": [1, "01", {"b": "02"}], "c": [True, None]}
    assert notes.notes_of(value) == ((("a", 1), "bytes"), (("a", 2, "b"), "bytes"))
    assert value["c"].__class__ is list


def nested(leaf: Any, levels: int) -> Any:
    for _ in range(levels):
        leaf = [leaf]
    return leaf


def test_what_is_nested_too_deeply_is_refused_and_nothing_less() -> None:
    assert notes.spelled(nested(1, notes.MOST_LEVELS), spell) == nested(1, notes.MOST_LEVELS)
    assert orjson.dumps(notes.spelled(nested(1, notes.MOST_LEVELS), spell))
    with pytest.raises(notes.TooRich, match="nested too deeply"):
        notes.spelled(nested(1, notes.MOST_LEVELS + 1), spell)
    assert notes.spelled(nested(b"", notes.MOST_STEPS), spell) == nested("", notes.MOST_STEPS)
    with pytest.raises(notes.TooRich, match="nested too deeply"):
        notes.spelled(nested(b"", notes.MOST_STEPS + 1), spell)


def test_so_many_notes_are_made_of_one_value_and_no_more() -> None:
    half = notes.MOST_NOTES // 2
    many = [[b""] * half, {str(number): b"" for number in range(half)}]
    assert len(notes.notes_of(notes.spelled(many, spell))) == notes.MOST_NOTES
    with pytest.raises(notes.TooRich, match="more than 10000 values"):
        notes.spelled([*many, b""], spell)


def test_what_lies_deep_is_spelled_in_one_pass() -> None:
    """Not once more for each level that it lies in."""
    seen: list[Any] = []
    value = nested([b"", b"", 1.5], 60)

    def spell_once(leaf: Any) -> Any:
        seen.append(leaf)
        return spell(leaf)

    notes.spelled(value, spell_once)
    assert len(seen) == 3


def test_no_more_containers_are_looked_into_than_takes_a_moment() -> None:
    def many(count: int) -> list[Any]:
        return [*([] for _ in range(count - 1)), b"\x00"]

    assert notes.gathered(
        notes.spelled(many(notes.MOST_CONTAINERS), lambda leaf: noted_text("AA==", "bytes"))
    )
    with pytest.raises(notes.TooRich, match="more than 30000 lists and objects"):
        notes.spelled(many(notes.MOST_CONTAINERS + 1), lambda leaf: noted_text("AA==", "bytes"))
