"""A plugin, in a single file, whose types hold something of everything that has a form on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType

from attrs import field, frozen, validators

from adohub import Call, Channel, Procedure, PublishRequest, Selection, Topic, WholeEvent, hookimpl, now

Metres = NewType("Metres", float)


class Colour(Enum):
    """An enum of text."""

    RED = "red"
    BLUE = "blue"


@frozen
class Circle:
    """One of two figures, told by their tag."""

    kind: Literal["circle"]
    radius: Metres


@frozen
class Square:
    """The other; it ends no comment: */ export const gotcha = 1; /*."""

    kind: Literal["square"]
    side: float
    at: datetime


@frozen
class Tree:
    """A type that contains itself.

    Over several lines, with `code`.
    """

    name: str
    branches: list[Tree] = field(factory=list)


class Outer:
    """Only a place."""

    @frozen
    class Artifact:
        """It is called like one of adohub's own."""

        size: int


@frozen
class Every:
    """A bit of everything."""

    key_field: str = field(metadata={"doc": "Which one it is; /* no */ trouble."})
    later: Later
    type_: Literal["it's", 'a "quote"', "back\\slash", "line\nbreak", 3, -1, True, None]
    colour: Colour
    figure: Circle | Square | None
    row: tuple[int, str, Tree | None]
    many: tuple[Circle | Square, ...]
    weights: Sequence[float | None]
    named: Mapping[str, Tree]
    chosen: Mapping[Literal["one", "two"], int]
    octets: bytes
    anything: Any
    flag: Annotated[bool, "only for type checkers"]
    artifact: Outer.Artifact
    nothing: None
    maybe: Final[str | None] = None
    choice: Literal["a", "b"] | None = None
    free: Any = None
    count: int = field(default=3, validator=validators.ge(0))
    timestamp: datetime = field(factory=now)
    hidden: int = field(default=0, init=False)


@frozen
class Later:
    """Named before it is there."""

    at: datetime
    tree: Tree = field(factory=lambda: Tree("root"))


@frozen
class Filter:
    """Which ones; everything may be left out."""

    least: int = 0
    colours: Sequence[Colour] = ()


@frozen
class Relay:
    """Events to publish, from elsewhere."""

    events: Sequence[PublishRequest]
    comment: str | None = None


@frozen
class Relayed:
    """The events, as they are now."""

    last: WholeEvent | None
    events: Sequence[WholeEvent]


def _nothing(input: object, call: Call) -> None:
    """It does nothing. */ And that well."""


def _choose(input: Filter) -> Selection:
    return Selection(["every.thing"])


@hookimpl
def adohub_topics(config: object) -> list[Topic]:
    return [Topic("every.thing", Every, key="keyField"), Topic("every.tree", Tree), Topic("every.any-thing")]


@hookimpl
def adohub_channels(config: object) -> list[Channel]:
    return [
        Channel(
            "every.onThing",
            topics=["every.thing"],
            key="keyField",
            where=["colour"],
            tracked="every.trackedThing",
        ),
        Channel("every.onAny", topics=["every.*"]),
        Channel("every.onChosen", input=Filter, select=_choose, revised=True),
    ]


@hookimpl
def adohub_procedures(config: object) -> list[Procedure]:
    return [
        Procedure("every.echo", "query", _nothing, Every, Every),
        Procedure("every.twice", "query", _nothing, Tree, tuple[Tree, Tree]),
        Procedure("every.list", "query", _nothing, Filter, list[Every | Tree]),
        Procedure("every.clock", "query", _nothing, output=datetime),
        Procedure("every.untold", "mutation", _nothing),
        Procedure("every.relay", "mutation", _nothing, Relay, Relayed),
    ]
