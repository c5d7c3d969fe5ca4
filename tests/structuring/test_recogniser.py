"""What is recognised is what reading and writing would only give back."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from attrs import define, field, frozen, validators
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adohub.builtin.agents import AgentOutputEvent
from adohub.builtin.tasks import TaskProgressEvent
from adohub.structuring import StructureError, wire
from tests.structuring.shapes import JSON, Span, Tree

patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no fault."""


@frozen
class Busy:
    """One of everything that can be recognised."""

    task_id: str
    phase: Literal["spec", "impl"]
    progress: float = field(validator=[validators.ge(0), validators.le(100)])
    count: int = field(validator=validators.le(10))
    weight: float
    timestamp: datetime


GOOD = {
    "taskId": "t",
    "phase": "impl",
    "progress": 42,
    "count": -3,
    "weight": 0.5,
    "timestamp": "2026-01-02T03:04:05.678Z",
}

recognises = wire.recogniser(Busy)

nearly_moments = st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[.,][0-9]{3}[Zz]", fullmatch=True
) | st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-200, 200)
    | st.integers()
    | st.floats()
    | st.sampled_from(["spec", "impl", ""])
    | nearly_moments
)


def written_again(value: object) -> Any:
    try:
        return wire.unstructure(wire.structure(value, Busy))
    except StructureError:
        return None


def typed(value: Any) -> Any:
    """`value` with its types beside it: 1 and 1.0 and True are equal, and not the same."""
    return {key: (type(item), item) for key, item in value.items()}


def test_what_a_client_writes_is_recognised() -> None:
    assert recognises(GOOD)
    assert recognises(GOOD | {"progress": 0, "weight": -(2**53)})
    assert recognises(dict(reversed(GOOD.items())))


@patiently
@given(
    st.dictionaries(st.sampled_from([*GOOD, "more"]), scalars | JSON, max_size=4),
    st.sets(st.sampled_from([*GOOD])),
)
@example({"timestamp": "2026-02-30T03:04:05.678Z"}, set())
@example({"timestamp": "2026-01-02T24:00:00.000Z"}, set())
@example({"timestamp": "0000-01-02T03:04:05.678Z"}, set())
@example({"timestamp": "2026-W01-2T03:04:05.678Z"}, set())
@example({"progress": True}, set())
@example({"progress": float("nan")}, set())
@example({"weight": float("inf")}, set())
@example({"weight": float("nan")}, set())
@example({"count": 1.0}, set())
@example({"phase": ["impl"]}, set())
def test_what_is_recognised_is_its_own_wire_form(changes: dict[str, Any], missing: set[str]) -> None:
    value = {key: item for key, item in (GOOD | changes).items() if key not in missing}
    if recognises(value):
        assert typed(written_again(value)) == typed(value)


@pytest.mark.parametrize("value", [None, [], "text", 5, {}, GOOD | {"more": 1}, {**GOOD, "phase": 5}])
def test_what_is_not_its_own_wire_form_is_not_recognised(value: object) -> None:
    assert not recognises(value)


def test_the_busiest_topics_are_recognised() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    for event in (
        TaskProgressEvent("t", "impl", 5, "m", moment),
        AgentOutputEvent("t", "a", "stdout", "c", moment),
    ):
        assert wire.recogniser(type(event))(wire.unstructure(event))


@define
class Strict:
    """Has an opinion of its own."""

    name: str

    def __attrs_post_init__(self) -> None:
        if self.name == "nobody":
            raise ValueError("nobody is not a name")


@define
class Plain:
    """Has nothing of its own."""

    name: str


@define(init=False)
class Handmade:
    """Makes itself."""

    name: str

    def __init__(self, name: str) -> None:
        self.__attrs_init__(name.upper())


class Undecorated(Plain):
    """Inherits from an attrs class and is none."""

    def __init__(self, name: str) -> None:
        super().__init__(name.upper())


@frozen
class Twofold:
    """Has two attributes of one name on the wire."""

    type: str
    type_: str


class Mood(StrEnum):
    """Texts that are more than texts."""

    GOOD = "good"


@frozen
class Moody:
    """Is fond of enums."""

    mood: Literal[Mood.GOOD]


@frozen
class Annotations:
    """Has a type that no dict could hold."""

    size: Annotated[int, ["a list cannot be hashed"]]


@frozen
class Validated:
    """Has a validator that only its own code understands."""

    name: str = field(validator=validators.min_len(3))


@frozen
class Exclusive:
    """Has a bound that is not included."""

    size: float = field(validator=validators.gt(0))


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (Strict, {"name": "nobody"}),
        (Strict, {"name": "somebody"}),
        (Handmade, {"name": "x"}),
        (Undecorated, {"name": "x"}),
        (Twofold, {"type": "x", "more": "y"}),
        (Moody, {"mood": "good"}),
        (Annotations, {"size": 5}),
        (Validated, {"name": "x"}),
        (Exclusive, {"size": 0}),
        (Span, {"first": 5, "last": 1, "label": " x "}),
        (Tree, {"name": "x"}),
    ],
)
def test_a_class_with_code_or_parts_of_its_own_recognises_nothing(cls: type[Any], value: object) -> None:
    assert not wire.recogniser(cls)(value)
