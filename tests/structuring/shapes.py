"""Types that hold something of everything a reader knows, and strategies for values of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal

from attrs import Attribute, field, frozen, validators
from hypothesis import strategies as st


class Colour(Enum):
    """An enum of text."""

    RED = "red"
    BLUE = "blue"


@frozen
class Progress:
    """The shape of the busiest topic."""

    task_id: str
    phase: Literal["spec", "impl", "test", "validate"]
    progress: float = field(validator=[validators.ge(0), validators.le(100)])
    message: str
    timestamp: datetime | None = None


@frozen
class Circle:
    """One of two figures, told by their tag."""

    kind: Literal["circle"]
    radius: float = field(validator=validators.gt(0))


@frozen
class Square:
    """The other."""

    kind: Literal["square"]
    side: float


@frozen
class Tree:
    """A type that contains itself, and most others."""

    name: str
    type_: int = 0
    colour: Colour = Colour.RED
    figure: Circle | Square | None = None
    place: tuple[int, str] = (0, "")
    weights: Sequence[float] = field(default=(), validator=validators.max_len(3))
    branches: list[Tree] = field(factory=list)
    parent: Tree | str | None = None
    notes: Mapping[str, bool | None] = field(factory=dict)
    octets: bytes = b""
    anything: Any = None


def stripped(text: str) -> str:
    """`text` without space around it."""
    return text.strip()


@frozen
class Span:
    """Two attributes that are checked against each other."""

    first: int
    last: int = field(default=10)
    label: str = field(default="", converter=stripped)

    @last.validator
    def _after_first(self, _: Attribute[int], value: int) -> None:
        if value < self.first:
            raise ValueError("must not be before first")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.integers()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

MOMENTS = st.integers(0, 8 * 10**12).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)

PROGRESS = st.builds(
    Progress,
    task_id=TEXT,
    phase=st.sampled_from(["spec", "impl", "test", "validate"]),
    progress=st.integers(0, 100) | st.floats(0, 100),
    message=TEXT,
    timestamp=st.none() | MOMENTS,
)

FIGURES = st.builds(Circle, kind=st.just("circle"), radius=st.floats(0.1, 9)) | st.builds(
    Square, kind=st.just("square"), side=FINITE
)

TREES = st.recursive(
    st.builds(Tree, name=TEXT),
    lambda inner: st.builds(
        Tree,
        name=TEXT,
        type_=st.integers(),
        colour=st.sampled_from(Colour),
        figure=st.none() | FIGURES,
        place=st.tuples(st.integers(), TEXT),
        weights=st.lists(FINITE, max_size=3).map(tuple),
        branches=st.lists(inner, max_size=2),
        parent=st.none() | TEXT | inner,
        notes=st.dictionaries(TEXT, st.none() | st.booleans(), max_size=2),
        octets=st.binary(max_size=4),
        anything=st.none() | st.booleans() | TEXT,
    ),
    max_leaves=5,
)
