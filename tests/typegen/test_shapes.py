"""Shapes know the types that the wire's readers know, and say what these take and send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType, Optional, Union

import pytest
from attrs import field, frozen

from adohub.structuring import wire
from adohub.typegen.shapes import (
    ANYTHING,
    NULL,
    TEXT,
    AnyOf,
    ListOf,
    MapOf,
    ObjectOf,
    OneOf,
    Part,
    Plain,
    Ref,
    RowOf,
    Shapes,
    any_of,
    constant,
    sent_shape,
)


class Level(Enum):
    LOW = 1
    HIGH = "high"


@frozen
class Node:
    """A node."""

    next_one: Node | None
    note: str | None = field(default=None, metadata={"doc": "What it is."})


Name = NewType("Name", str)
INTEGER = Plain("integer")

KNOWN = [
    (str, TEXT),
    (Any, ANYTHING),
    (object, ANYTHING),
    (None, NULL),
    (float, Plain("number")),
    (datetime, Plain("time")),
    (bytes, Plain("octets")),
    (Name, TEXT),
    (Annotated[int, "x"], INTEGER),
    (Final[int], INTEGER),
    (Level, OneOf((1, "high"))),
    (Literal["a", 2, None], OneOf(("a", 2, None))),
    (Optional[int], AnyOf((INTEGER, NULL))),  # noqa: UP045
    (Union[int, None, str], AnyOf((INTEGER, TEXT, NULL))),  # noqa: UP007
    (None | int | Any, ANYTHING),
    (list, ListOf(ANYTHING)),
    (list[int], ListOf(INTEGER)),
    (Sequence[int], ListOf(INTEGER)),
    (tuple, ListOf(ANYTHING)),
    (tuple[int, ...], ListOf(INTEGER)),
    (tuple[int, str], RowOf((INTEGER, TEXT))),
    (dict, MapOf(TEXT, ANYTHING)),
    (Mapping[Literal["a"], int], MapOf(OneOf(("a",)), INTEGER)),
    (Node, Ref(Node)),
]
UNKNOWN = [set[int], date, complex, frozenset, list[set[int]], dict[str, date], int | date]


@pytest.mark.parametrize(("type_", "shape"), KNOWN, ids=[str(type_) for type_, _ in KNOWN])
def test_every_type_that_the_readers_know_has_its_shape(type_: Any, shape: object) -> None:
    wire.compile(type_)
    assert Shapes().of(type_) == shape


@pytest.mark.parametrize("type_", UNKNOWN, ids=str)
def test_a_type_that_they_do_not_know_has_none(type_: Any) -> None:
    with pytest.raises(TypeError):
        wire.compile(type_)
    with pytest.raises(TypeError, match="has no JSON form"):
        Shapes().of(type_)


def test_a_class_is_defined_once_even_if_it_holds_itself() -> None:
    shapes = Shapes()
    assert shapes.of(list[Node]) == ListOf(Ref(Node))
    [definition] = shapes.definitions.values()
    assert definition.doc == "A node."
    assert definition.parts == (
        Part("nextOne", AnyOf((Ref(Node), NULL))),
        Part("note", AnyOf((TEXT, NULL)), required=False, sent=False, doc="What it is."),
    )


def test_what_is_left_out_when_it_is_none_is_never_sent_as_null() -> None:
    assert sent_shape(Part("x", AnyOf((TEXT, NULL)), required=False, sent=False)) == TEXT
    assert sent_shape(Part("x", AnyOf((TEXT, NULL)))) == AnyOf((TEXT, NULL))


def test_unions_say_each_member_once_and_null_last() -> None:
    assert any_of([NULL, any_of([TEXT, NULL]), TEXT]) == AnyOf((TEXT, NULL))
    assert any_of([TEXT, TEXT]) == TEXT
    assert any_of([TEXT, ANYTHING]) == ANYTHING
    assert any_of([OneOf((1,)), OneOf((True,))]) == AnyOf((OneOf((1,)), OneOf((True,))))


def test_a_constant_has_the_shape_of_itself_alone() -> None:
    found = constant({"op": "synced", "keys": [None, 1]})
    assert found == ObjectOf(
        (Part("op", OneOf(("synced",))), Part("keys", RowOf((OneOf((None,)), OneOf((1,))))))
    )
