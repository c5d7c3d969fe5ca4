"""attrs' validators, in the reader's words."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import Attribute, field, frozen, make_class, validators

from adohub.structuring import Fault, StructureError, wire


def complaints(validator: Any, value: object) -> list[str]:
    """What is wrong with `value` as the attribute `x` that `validator` guards."""
    guarded = make_class("guarded", {"x": field(type=Any, validator=validator)})
    with pytest.raises(StructureError) as caught:
        wire.structure({"x": value}, guarded)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("validator", "value", "complaint"),
    [
        (validators.ge(0), -1, "x: expected at least 0, got -1"),
        (validators.le(100), 101, "x: expected at most 100, got 101"),
        (validators.gt(0), 0, "x: expected more than 0, got 0"),
        (validators.lt(1.5), 2, "x: expected less than 1.5, got 2"),
        (validators.max_len(2), "abc", 'x: expected at most 2 characters, got "abc"'),
        (validators.max_len(1), [1, 2], "x: expected at most 1 item, got [1, 2]"),
        (validators.min_len(1), "", 'x: expected at least 1 character, got ""'),
        (validators.min_len(2), b"", "x: expected at least 2 bytes, got \"b''\""),
        (validators.in_([1, 2]), 3, "x: expected one of 1, 2, got 3"),
        (validators.in_({"b", "a"}), "c", 'x: expected one of "a", "b", got "c"'),
        (validators.matches_re("[a-z]+"), "A", 'x: expected string matching [a-z]+, got "A"'),
        (validators.optional(validators.ge(0)), -1, "x: expected at least 0, got -1"),
        (validators.optional([validators.ge(0), validators.le(5)]), 6, "x: expected at most 5, got 6"),
        ([validators.ge(0), validators.lt(5)], 5, "x: expected less than 5, got 5"),
    ],
)
def test_a_known_validator_speaks_plainly(validator: Any, value: object, complaint: str) -> None:
    assert complaints(validator, value) == [complaint]


def test_each_item_of_a_list_is_judged() -> None:
    positive: Any = validators.deep_iterable(validators.gt(0), iterable_validator=validators.min_len(1))
    assert complaints(positive, [1, 0, 2, -1]) == [
        "x[1]: expected more than 0, got 0",
        "x[3]: expected more than 0, got -1",
    ]
    assert complaints(positive, []) == ["x: expected at least 1 item, got []"]


def test_an_optional_value_may_be_none() -> None:
    guarded = make_class("guarded", {"x": field(type=Any, validator=validators.optional(validators.ge(0)))})
    assert wire.structure({"x": None}, guarded) == guarded(None)


def test_any_other_validator_gives_its_own_text() -> None:
    def even(_: object, __: Attribute[int], value: int) -> None:
        if value % 2:
            raise ValueError("must be even")

    assert complaints(even, 3) == ["x: must be even"]
    assert complaints(validators.instance_of(int), "a")[0].startswith("x: 'x' must be <class 'int'>")


def test_a_validator_that_raises_anything_else_is_a_bug_and_is_let_through() -> None:
    @frozen
    class Buggy:
        x: int = field(validator=lambda _, __, value: 1 // value)

    with pytest.raises(ZeroDivisionError):
        wire.structure({"x": 0}, Buggy)


def test_a_validator_s_fault_stands_beside_the_others() -> None:
    @frozen
    class Job:
        name: str
        percent: int = field(validator=validators.le(100))
        share: float = field(default=0.0, validator=validators.ge(0))

    with pytest.raises(StructureError) as caught:
        wire.structure({"percent": 101, "share": -1}, Job)
    assert caught.value.faults == (
        Fault(("name",), "required"),
        Fault(("percent",), "expected at most 100, got 101"),
        Fault(("share",), "expected at least 0, got -1"),
    )
