"""All faults at once, none of them telling a secret."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

import attrs
import pytest
from attrs import Converter, Factory, field, frozen, validators
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.structuring import Fault, StructureError, careful, strict, wire
from adohub.structuring.faults import MOST_FOUND
from tests.structuring.shapes import JSON, PROGRESS, Progress, Span, Tree


def faults(value: object, type_: Any) -> list[str]:
    """What the wire structurer has against `value`."""
    with pytest.raises(StructureError) as caught:
        wire.structure(value, type_)
    return [str(fault) for fault in caught.value.faults]


def test_every_fault_is_told_under_its_wire_name() -> None:
    value = {"phase": "x", "progress": "x", "message": 1, "timestamp": "soon"}
    assert faults(value, Progress) == [
        "taskId: required",
        'phase: expected one of "spec", "impl", "test", "validate", got "x"',
        'progress: expected number, got "x"',
        "message: expected string, got 1",
        'timestamp: expected ISO 8601 time, got "soon"',
    ]


def test_progress_out_of_range_is_told_in_words() -> None:
    right = {"taskId": "a", "phase": "impl", "message": ""}
    assert faults(right | {"progress": 101}, Progress) == ["progress: expected at most 100, got 101"]
    assert faults(right | {"progress": -1}, Progress) == ["progress: expected at least 0, got -1"]


def test_a_validator_sees_its_neighbours_and_their_defaults() -> None:
    assert faults({"first": 5, "last": 4, "label": 1}, Span) == [
        "label: expected string, got 1",
        "last: must not be before first",
    ]
    assert faults({"first": 11, "label": 1}, Span) == [
        "label: expected string, got 1",
        "last: must not be before first",
    ]


def test_a_validator_whose_neighbour_could_not_be_read_is_silent() -> None:
    assert faults({"first": "a", "last": 4}, Span) == ['first: expected integer, got "a"']


def test_converters_run_before_validators() -> None:
    def shouted(word: str) -> str:
        return word.upper()

    def followed_by_word(value: str, self: Any) -> str:
        return value + str(self.word)

    @frozen
    class Call:
        word: str = field(converter=shouted, validator=validators.in_(["A"]))
        echo: str = field(
            default=Factory(lambda self: self.word, takes_self=True),
            converter=Converter(followed_by_word, takes_self=True),  # type: ignore[misc]
            validator=validators.max_len(2),
        )

    assert wire.structure({"word": "a"}, Call) == Call("A")
    assert faults({"word": "a", "echo": "bb"}, Call) == ['echo: expected at most 2 characters, got "bbA"']


def test_a_converter_s_refusal_is_a_fault_of_its_attribute() -> None:
    @frozen
    class Parsed:
        number: Any = field(converter=int)

    assert faults({"number": "x"}, Parsed) == ["number: invalid literal for int() with base 10: 'x'"]


def test_a_class_may_refuse_as_a_whole() -> None:
    @frozen
    class Picky:
        x: int

        def __attrs_post_init__(self) -> None:
            raise ValueError("never")

    assert faults({"x": 1}, Picky) == ["never"]
    assert faults([{"x": 1}], list[Picky]) == ["[0]: never"]


def test_a_list_or_object_with_many_faults_is_not_read_to_its_end() -> None:
    many = [{"first": "x"}] * 10 * MOST_FOUND
    assert len(faults(many, list[Span])) == MOST_FOUND
    assert len(faults({str(index): one for index, one in enumerate(many)}, dict[str, Span])) == MOST_FOUND


def test_many_objections_to_items_are_not_all_told() -> None:
    @frozen
    class Named:
        names: list[str] = field(validator=validators.deep_iterable(validators.max_len(1)))

    assert len(faults({"names": ["ab"] * 10 * MOST_FOUND}, Named)) == MOST_FOUND


def test_only_objects_with_faults_are_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[object] = []

    class Counting(careful._Examination):
        def verdict(self, *, closed: bool) -> Any:
            examined.append(self.given)
            return super().verdict(closed=closed)

    monkeypatch.setattr(careful, "_Examination", Counting)
    right, wrong = {"first": 1, "last": 2, "label": ""}, {"first": "x"}

    @frozen
    class Spans:
        spans: list[Span]

    value = {"spans": [*[right] * 1000, wrong, *[right] * 1000]}
    assert faults(value, Spans) == ['spans[1000].first: expected integer, got "x"']
    assert examined == [value, wrong]


def test_unknown_keys_are_ignored_on_the_wire_and_faults_in_toml() -> None:
    @frozen
    class Server:
        host: str = ""
        port: int = 0

    assert wire.structure({"port": 1, "prot": 2}, Server) == Server(port=1)
    with pytest.raises(StructureError) as caught:
        strict.structure({"prot": 2, "host": 1, "zebra": 3}, Server)
    assert caught.value.faults == (
        Fault(("host",), "expected string, got 1"),
        Fault(("prot",), 'unknown key (did you mean "port"?)'),
        Fault(("zebra",), "unknown key"),
    )


@frozen
class Vault:
    """A class with secrets of several kinds."""

    plain: str = field(default="", metadata={"secret": True})
    long: str = field(default="", validator=validators.max_len(3), metadata={"secret": True})
    nested: dict[str, list[int]] = field(factory=dict, metadata={"secret": True})
    choice: Literal["a", "b"] = field(default="a", metadata={"secret": True})
    parsed: Any = field(default=0, converter=int, metadata={"secret": True})
    typed: Any = field(default=0, validator=validators.instance_of(int), metadata={"secret": True})


def test_a_fault_in_a_secret_never_shows_it() -> None:
    with pytest.raises(StructureError) as caught:
        strict.structure(
            {
                "plain": ["hunter2"],
                "long": "hunter2",
                "nested": {"a": ["hunter2"]},
                "choice": "hunter2",
                "parsed": "hunter2",
                "typed": {"deep": ["hunter2"]},
            },
            Vault,
        )
    assert [str(fault) for fault in caught.value.faults] == [
        "plain: expected string",
        "nested.a[0]: expected integer",
        'choice: expected one of "a", "b"',
        "parsed: not valid",
        "long: expected at most 3 characters",
        "typed: not valid",
    ]
    assert "hunter2" not in repr(caught.value.__cause__)
    assert caught.value.__suppress_context__


@settings(deadline=None)
@given(value=JSON, type_=st.sampled_from([Progress, Tree, Span, Vault, list[Tree], int | Tree]))
def test_nothing_but_a_structure_error_comes_of_any_json(value: object, type_: Any) -> None:
    for structurer in (wire, strict):
        with suppress(StructureError):
            structurer.structure(value, type_)


@settings(deadline=None)
@given(PROGRESS, st.sampled_from([attribute.name for attribute in attrs.fields(Progress)]), JSON)
def test_one_wrong_value_is_a_fault_at_its_key_and_nowhere_else(
    right: Progress, name: str, junk: Any
) -> None:
    found: set[tuple[str | int, ...]] = set()
    try:
        strict.structure(strict.unstructure(right) | {name: junk}, Progress)
    except StructureError as error:
        found = {fault.path for fault in error.faults}
    assert found <= {(name,)}
