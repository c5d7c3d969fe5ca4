"""The words in which faults are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from adohub.structuring import Fault, StructureError, did_you_mean, path_text, shown
from adohub.structuring.faults import MOST_FOUND, MOST_SHOWN, Flaw, Refusal, gathering, wanted
from tests.structuring.shapes import JSON


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("server", "port"), "server.port"),
        (("events", 3, "progress"), "events[3].progress"),
        ((0,), "[0]"),
        (("channels", "deploy.onRelease", "key"), 'channels."deploy.onRelease".key'),
        (("a", ""), 'a.""'),
        (("a", 'say "b"'), 'a."say \\"b\\""'),
    ],
)
def test_a_path_reads_as_people_write_it(path: tuple[str | int, ...], text: str) -> None:
    assert path_text(path) == text


def test_a_fault_names_its_path_and_a_fault_of_the_root_needs_none() -> None:
    assert str(Fault(("a", 1), "required")) == "a[1]: required"
    assert str(Fault((), "expected object, got 5")) == "expected object, got 5"


def test_an_error_joins_its_faults() -> None:
    error = StructureError([Fault(("a",), "required"), Fault(("b",), "required")])
    assert str(error) == "a: required; b: required"
    assert [fault.path for fault in error.faults] == [("a",), ("b",)]


def test_an_error_keeps_every_fault_but_spells_out_only_some() -> None:
    error = StructureError(Fault((index,), "required") for index in range(MOST_SHOWN + 5))
    assert len(error.faults) == MOST_SHOWN + 5
    assert str(error).endswith(f"[{MOST_SHOWN - 1}]: required; and 5 more")


def test_an_error_with_as_many_faults_as_are_looked_for_may_have_more() -> None:
    error = StructureError(Fault((index,), "required") for index in range(MOST_FOUND))
    assert str(error).endswith(f"; and at least {MOST_FOUND - MOST_SHOWN} more")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", '"x"'),
        ("grün", '"grün"'),
        (None, "null"),
        (True, "true"),
        (float("nan"), "NaN"),
        ({"a": [1, 2.5]}, '{"a": [1, 2.5]}'),
        ("x" * 38, f'"{"x" * 38}"'),
        ("x" * 39, f'"{"x" * 39}…'),
        (b"x", "\"b'x'\""),
        ("\ud800", '"?"'),
    ],
)
def test_a_value_is_shown_as_short_json(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_value_of_any_depth_and_size_is_shown() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "[" * 40 + "…"
    assert shown(10**5000) == "…"


@settings(deadline=None)
@given(JSON)
def test_what_is_shown_is_short_and_can_be_sent(value: object) -> None:
    assert 0 < len(shown(value)) <= 41
    assert shown(value).encode()


def test_a_near_miss_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("prot", ["host", "port"]) == ' (did you mean "port"?)'
    assert did_you_mean("zebra", ["host", "port"]) == ""


def refuse(error: Exception) -> None:
    """As a reader would."""
    raise error


def test_gathering_goes_on_and_remembers_where() -> None:
    flaws: list[Flaw] = []
    with gathering(flaws, "a"):
        refuse(wanted("integer", "x"))
    with gathering(flaws, 1):
        refuse(Refusal(Flaw("required", path=("b",))))
    with gathering(flaws):
        refuse(ValueError("must be even"))
    with gathering(flaws, "c"):
        refuse(ValueError())
    assert [str(flaw.fault()) for flaw in flaws] == [
        'a: expected integer, got "x"',
        "[1].b: required",
        "must be even",
        "c: not valid",
    ]


def test_gathering_lets_bugs_through() -> None:
    with pytest.raises(ZeroDivisionError), gathering([], "a"):
        refuse(ZeroDivisionError())
