"""superjson goes in and comes out as it was; what its reader would choke on does not get in."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import orjson
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.notes import MOST_NOTES, MOST_STEPS, Notes, below, gathered, noted, notes_of
from adohub.structuring import wire
from adohub.wire import superjson
from adohub.wire.decode import Malformed
from adohub.wire.messages import ABSENT
from tests.transcripts.golden_files import GOLDEN
from tests.wire.strategies import texts, values

patiently = settings(deadline=None)

MOMENT = "2026-01-02T03:04:05.678Z"
RECORDED = {
    name: form
    for name, form in json.loads((GOLDEN / "superjson-format.json").read_text()).items()
    if "throws" not in form
}
"""What superjson 2.2.6 has written."""


def again(form: Any) -> Any:
    """`form` after it has been through the hub: as JSON with notes beside it."""
    value = superjson.decode(form)
    written = (
        superjson.UNDEFINED if value is ABSENT else superjson.dumps(orjson.dumps(value), notes_of(value))
    )
    return json.loads(written)


def annotated(json: Any, values: Any, version: Any = 1) -> dict[str, Any]:
    return {"json": json, "meta": {"values": values, "v": version}}


# ── there and back ───────────────────────────────────────────────────────────────────────────────────

SAID_OTHERWISE = {
    "minus_zero": {"json": -0.0},
    "undefined_in_object": annotated({"b": 1}, {"a": ["undefined"]}),
    "referential_equality": {"json": {"a": {"x": 1}, "b": {"x": 1}}},
    "cyclic": {"json": {"n": 1, "self": None}},
    "deep": annotated(
        {"list": [{"at": "1970-01-01T00:00:00.000Z"}, {"at": "1970-01-01T00:00:00.000Z"}]},
        {"list.0.at": ["Date"], "list.1.at": ["Date"], "list.1.n": ["undefined"]},
    ),
}
"""What comes out in other words that mean the same to superjson."""


@pytest.mark.parametrize("name", RECORDED)
def test_what_superjson_has_written_comes_out_as_it_went_in(name: str) -> None:
    assert again(RECORDED[name]) == SAID_OTHERWISE.get(name, RECORDED[name])


@pytest.mark.parametrize("form", RECORDED.values(), ids=RECORDED)
def test_reading_changes_nothing_of_what_is_read(form: Any) -> None:
    before = json.dumps(form)
    superjson.decode(form)
    assert json.dumps(form) == before


steps = st.text(max_size=4).filter(lambda step: step not in superjson.FORBIDDEN)
kinds = st.sampled_from(["Date", "map", ("typed-array", "Int8Array"), "set", "undefined"])


@st.composite
def plain_with_notes(draw: st.DrawFn) -> tuple[Any, Notes]:
    """A plain value, and notes that fit it."""

    def mark(value: Any) -> tuple[Any, list[Any]]:
        parts: list[Any] = []
        match draw(st.sampled_from(["plain", "marked"])), value:
            case "marked", str():
                return value, [((), draw(st.just("Date")))]
            case "marked", dict():
                parts = [((), "Error")]
            case "marked", list():
                parts = [((), draw(st.sampled_from(["set", ("typed-array", "Uint8Array")])))]
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for step, item in items:
            parts += below(mark(item)[1], step)
        return value, parts

    value, notes = mark(
        draw(
            st.recursive(
                st.none() | st.integers(-9, 9) | texts,
                lambda inner: st.lists(inner, max_size=4) | st.dictionaries(steps, inner, max_size=4),
                max_leaves=12,
            )
        )
    )
    return value, tuple(notes)


@patiently
@given(plain_with_notes())
def test_whatever_is_written_is_read_again(given_one: tuple[Any, Notes]) -> None:
    value, notes = given_one
    read = superjson.decode(json.loads(superjson.dumps(orjson.dumps(value), notes)))
    assert read == value
    assert dict(notes_of(read)) == dict(notes)


def test_what_is_in_the_way_of_a_path_is_escaped() -> None:
    notes: Notes = ((("a.b", "c\\", "", 0), "Date"), (("a", "b"), "Date"))
    form = json.loads(superjson.dumps(b"null", notes))
    assert form["meta"]["values"] == {"a\\.b.c\\\\..0": ["Date"], "a.b": ["Date"]}


def test_an_older_superjson_knew_one_escape() -> None:
    plain = {"a\\b.c": {"\\": MOMENT}}
    for version in (None, 0):
        value = superjson.decode(annotated(plain, {"a\\b\\.c.\\": ["Date"]}, version))
        assert notes_of(value) == ((("a\\b.c", "\\"), "Date"),)
    value = superjson.decode({"json": plain, "meta": {"values": {"a\\b\\.c.\\": ["Date"]}}})
    assert notes_of(value) == ((("a\\b.c", "\\"), "Date"),)


def test_octets_are_base64_text_and_what_superjson_would_refuse_is_not_annotated() -> None:
    notes: Notes = ((("a",), "bytes"), (("constructor", "at"), "Date"))
    assert superjson.dumps(b"{}", notes) == b'{"json":{}}'


def test_many_notes_and_few_are_written_alike() -> None:
    many: Notes = tuple(((f"k{number}",), "Date") for number in range(100))
    form = json.loads(superjson.dumps(b"{}", many))
    assert form["meta"] == {"values": {f"k{number}": ["Date"] for number in range(100)}, "v": 1}


@frozen
class Answer:
    """What a procedure may say its answer is."""

    at: datetime
    octets: bytes
    events: list[Any]


def test_an_answer_is_annotated_by_its_type_and_by_the_noted_values_in_it() -> None:
    payload = noted({"at": MOMENT, "octets": "AAE="}, [(("at",), "Date"), (("octets",), "bytes")])
    value = {"at": MOMENT, "octets": "AAE=", "events": [{"payload": payload}]}
    assert json.loads(superjson.dumps_value(value, wire.marks(Answer))) == annotated(
        value, {"events.0.payload.at": ["Date"], "at": ["Date"]}
    )
    assert json.loads(superjson.dumps_value(value)) == annotated(value, {"events.0.payload.at": ["Date"]})
    assert superjson.dumps_value([1]) == b'{"json":[1]}'


def test_an_answer_that_is_no_json_is_refused_as_json_refuses_it() -> None:
    with pytest.raises(TypeError):
        superjson.dumps_value({"a": object()})


# ── what becomes of it inside ────────────────────────────────────────────────────────────────────────


def test_what_is_undefined_is_not_there() -> None:
    form = annotated({"a": None, "b": [None, 1]}, {"a": ["undefined"], "b.0": ["undefined"]})
    value = superjson.decode(form)
    assert value == {"b": [None, 1]}
    assert dict(notes_of(value)) == {("a",): "undefined", ("b", 0): "undefined"}
    assert superjson.decode(annotated(None, ["undefined"])) is ABSENT
    assert superjson.decode(ABSENT) is ABSENT


def test_minus_zero_is_a_number() -> None:
    value = superjson.decode(annotated({"a": "-0", "b": ["-0"]}, {"a": ["number"], "b.0": ["number"]}))
    assert orjson.dumps(value) == b'{"a":-0.0,"b":[-0.0]}'
    assert notes_of(value) == ()


@frozen
class Reading:
    """A date and things of any kind."""

    at: Any
    taken_at: Any = None


def test_a_date_is_read_as_a_time_and_what_takes_anything_keeps_it() -> None:
    form = annotated({"takenAt": MOMENT, "at": {"x": MOMENT}}, {"takenAt": ["Date"], "at.x": ["Date"]})
    read = wire.structure(superjson.decode(form), Reading)
    assert gathered(read.at) == ((("x",), "Date"),)


def test_notes_that_the_value_has_already_stay() -> None:
    """As with superjson inside MessagePack, where octets have been noted before."""
    inner = noted({"octets": "AAE=", "at": MOMENT, "list": [1]}, [(("octets",), "bytes")])
    value = superjson.decode(annotated(inner, {"at": ["Date"], "list": ["set"]}))
    assert dict(notes_of(value)) == {("octets",): "bytes", ("at",): "Date", ("list",): "set"}


def test_annotations_of_what_is_not_there_are_dropped() -> None:
    annotations = {"b": ["Date"], "a.x": ["Date"], "l.1": ["Date"], "l.x": ["Date"], "l.-1": ["Date"]}
    value = superjson.decode(annotated({"a": 1, "l": [1]}, annotations))
    assert (value, notes_of(value)) == ({"a": 1, "l": [1]}, ())


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        "text",
        {},
        {"meta": {}},
        {"taskId": "t"},
        {"json": 1, "meta": 1},
        {"json": 1, "meta": {"values": 1}},
        annotated(1, []),
        annotated(1, [None]),
        annotated(1, ["Date", []]),
        annotated(1, ["Date"]),
        annotated("x", ["bytes"]),
        annotated("x", ["Unheard"]),
        annotated("x", [["unheard", "of"]]),
        annotated([1], [["typed-array", "Buffer"]]),
        annotated([1], [["typed-array"]]),
        annotated("1.5", ["bigint"]),
        annotated("1", ["number"]),
        annotated("x", ["regexp"]),
        annotated("x", ["URL"]),
        annotated("x", ["Error"]),
        annotated("x", ["set"]),
        annotated([[1]], ["map"]),
        annotated({}, {"__proto__": ["Date"]}),
        annotated({}, {"a.constructor.b": ["Date"]}),
        annotated({}, {"a": {"prototype": ["Date"]}}),
        annotated({}, {"a\\b": ["Date"]}),
        annotated({}, {"a\\": ["Date"]}),
        annotated({}, {".".join("a" * (MOST_STEPS + 1)): ["Date"]}),
    ],
    ids=json.dumps,
)
def test_what_superjson_would_not_have_written_is_refused(form: Any) -> None:
    with pytest.raises(Malformed):
        superjson.decode(form)


def test_so_many_annotations_are_read_and_no_more() -> None:
    many = {str(number): ["bigint"] for number in range(MOST_NOTES)}
    plain = {"list": ["1"] * (MOST_NOTES + 1)}
    full = {f"list.{step}": kind for step, kind in many.items()}
    assert len(notes_of(superjson.decode(annotated(plain, full)))) == MOST_NOTES
    for one_more in ({"list": ["set", many]}, full | {f"list.{MOST_NOTES}": ["bigint"]}):
        with pytest.raises(Malformed, match="more than 10000 annotations"):
            superjson.decode(annotated(plain, one_more))


def test_an_annotation_inside_an_annotation_is_bounded_too() -> None:
    tree: Any = ["set"]
    for _ in range(MOST_STEPS + 1):
        tree = ["set", {"0": tree}]
    with pytest.raises(Malformed, match="nested too deeply"):
        superjson.decode(annotated([], tree))


annotation_like = st.recursive(
    st.none()
    | st.sampled_from(["Date", "set", "map", "undefined", "number", ["class", "x"], ["typed-array", "x"]]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text("ab01.\\", max_size=5) | st.just("__proto__"), inner, max_size=3)
    ),
    max_leaves=8,
)
versions = st.none() | st.sampled_from([0, 1, 2, "1"])
json_like = values | st.recursive(
    st.sampled_from([None, "x", 1]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab01.\\", max_size=2), inner, max_size=3)
    ),
)
metas = (
    values
    | annotation_like.map(lambda tree: {"values": tree})
    | st.builds(lambda tree, version: {"values": tree, "v": version}, annotation_like, versions)
)


@patiently
@given(values | st.builds(lambda plain, meta: {"json": plain, "meta": meta}, json_like, metas))
def test_anything_is_read_or_malformed_and_what_is_read_can_be_written(form: Any) -> None:
    try:
        value = superjson.decode(form)
    except Malformed:
        return
    if value is not ABSENT:
        notes = notes_of(value)
        once = json.loads(superjson.dumps(orjson.dumps(value), notes))
        assert again(once) == once


HARMLESS = [
    ("URL", "https://example.org/a?b=c#d"),
    ("URL", "http://localhost:3001"),
    ("regexp", "/^a.c[09x]+\\d*$/gi"),
    ("regexp", "/a/"),
]
DOUBTFUL = [
    ("URL", "http:"),
    ("URL", "http://1.2.3.999"),
    ("URL", "http://a:99999"),
    ("URL", "http://xn--a/"),
    ("URL", "mailto:me@example.org"),
    ("regexp", "/(/"),
    ("regexp", "/a/zz"),
    ("regexp", "/a/gg"),
    ("regexp", "/\\b+/"),
    ("regexp", "//"),
]


@pytest.mark.parametrize(("kind", "text"), [*HARMLESS, *DOUBTFUL])
def test_nothing_is_handed_on_that_could_break_a_client(kind: str, text: str) -> None:
    """`new URL` and `new RegExp` throw in whoever reads it, and it hears no more: the doubtful is text."""
    read = superjson.decode({"json": {"a": text}, "meta": {"values": {"a": [kind]}, "v": 1}})
    assert read == {"a": text}
    assert notes_of(read) == (((("a",), kind),) if (kind, text) in HARMLESS else ())


@pytest.mark.parametrize("family", ["class", "symbol", "custom"])
def test_what_clients_have_registered_is_not_handed_on(family: str) -> None:
    with pytest.raises(Malformed, match="not every client knows"):
        superjson.decode({"json": {"a": 1}, "meta": {"values": {"a": [[family, "Order"]]}, "v": 1}})


@pytest.mark.parametrize(
    "values",
    [
        {"\\\\." * 340_000: ["Date"]},
        {".".join([f"{number}", *"a" * 60]): None for number in range(14_000)},
        {".".join([f"{number}", *"a" * 60]): ["Date"] for number in range(9_000)},
    ],
    ids=["long", "empty", "deep"],
)
def test_no_annotations_take_the_hub_long(values: Any) -> None:
    with pytest.raises(Malformed):
        superjson.decode({"json": {}, "meta": {"values": values, "v": 1}})
