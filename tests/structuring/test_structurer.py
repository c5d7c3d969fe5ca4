"""Names, and writing what was read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import given, settings

from adohub.structuring import own_name, strict, wire, wire_name
from tests.structuring.shapes import PROGRESS, TREES, Colour, Progress, Tree


@pytest.mark.parametrize(
    ("attribute", "own", "outside"),
    [
        ("task_id", "task_id", "taskId"),
        ("type", "type", "type"),
        ("type_", "type", "type"),
        ("_hidden", "hidden", "hidden"),
        ("media_type", "media_type", "mediaType"),
        ("sha_256_of_it", "sha_256_of_it", "sha256OfIt"),
    ],
)
def test_an_attribute_has_a_name_for_each_side(attribute: str, own: str, outside: str) -> None:
    assert own_name(attribute) == own
    assert wire_name(attribute) == outside


def test_a_private_attribute_is_read_under_its_plain_name() -> None:
    @frozen
    class Shy:
        _hidden: int
        class_: str

    assert wire.structure({"hidden": 1, "class": "a"}, Shy) == Shy(1, "a")
    assert strict.unstructure(Shy(1, "a")) == {"hidden": 1, "class": "a"}


def test_attributes_that_no_constructor_takes_are_no_keys() -> None:
    @frozen
    class Counted:
        name: str
        length: int = field(init=False, default=0)

    assert wire.structure({"name": "a", "length": 5}, Counted) == Counted("a")


def test_a_progress_is_written_as_the_wire_has_it() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    assert wire.unstructure(Progress("t", "impl", 42, "half", moment)) == {
        "taskId": "t",
        "phase": "impl",
        "progress": 42,
        "message": "half",
        "timestamp": "2026-01-02T03:04:05.678Z",
    }


def test_none_is_left_out_where_it_is_the_default_and_kept_where_it_is_not() -> None:
    @frozen
    class Noted:
        kept: int | None
        left_out: int | None = None
        zero: int | None = 0

    assert wire.unstructure(Noted(None, None, None)) == {"kept": None, "zero": None}


def test_an_int_stays_an_int_both_ways() -> None:
    right: dict[str, Any] = {"taskId": "t", "phase": "impl", "progress": 42, "message": ""}
    written = wire.unstructure(wire.structure(right, Progress))
    assert written == right
    assert type(written["progress"]) is int


def test_bare_values_are_written_too() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    value = {"a": (b"hi", moment, Colour.RED, [Progress("t", "impl", 1, "")])}
    assert wire.unstructure(value) == {
        "a": [
            "aGk=",
            "2026-01-02T00:00:00.000Z",
            "red",
            [{"taskId": "t", "phase": "impl", "progress": 1, "message": ""}],
        ]
    }


@settings(deadline=None)
@given(PROGRESS | TREES)
def test_what_is_written_is_json_and_reads_back_the_same(value: Progress | Tree) -> None:
    for structurer in (wire, strict):
        written = structurer.unstructure(value)
        assert structurer.structure(json.loads(json.dumps(written, allow_nan=False)), type(value)) == value


@frozen
class Anything:
    """What it holds is nobody's business."""

    value: Any


@frozen
class Inner:
    """Something within."""

    deep_down: int


class Text(str):
    """A text that is more than one."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("held", "written"),
    [
        ([{"a": [1, 2.5, None, True, "b"]}], [{"a": [1, 2.5, None, True, "b"]}]),
        ([Inner(1)], [{"deepDown": 1}]),
        ({"x": [Inner(1)]}, {"x": [{"deepDown": 1}]}),
        ([b"x"], ["eA=="]),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": "2026-01-02T00:00:00.000Z"}),
        ([Colour.RED], ["red"]),
        ([2**70], [2**70]),
    ],
)
def test_what_is_declared_as_anything_is_written_by_what_it_is(held: Any, written: Any) -> None:
    assert wire.unstructure(Anything(held))["value"] == written


def test_what_a_peer_has_sent_is_not_written_anew() -> None:
    sent = [{"a": [1, "b"]}] * 3
    assert wire.unstructure(Anything(sent))["value"] is sent
    [kept] = wire.unstructure(Anything([Text("x")]))["value"]
    assert kept.__class__ is Text, "whose notes go with it"
