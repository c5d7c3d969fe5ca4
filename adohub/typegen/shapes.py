"""What types look like on the wire, in no language's words; they are looked at with the readers' eyes.

A class is told apart from its uses: a shape refers to it, and a `Definition` says what it is made of. What
goes in and what comes out differ in single attributes only: one with a default need not go in, and one whose
default is None does not come out when it is None.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from attrs import define, field, frozen

from adohub.plugin.contracts import PublishRequest, WholeEvent
from adohub.structuring import Structurer, wire
from adohub.structuring.readers import Member, bare, is_class

Kind = Literal["anything", "text", "integer", "number", "truth", "null", "time", "octets"]
"""Values without parts."""

Constant = str | int | float | bool | None


@frozen
class Plain:
    """Any value of a kind."""

    kind: Kind


@frozen
class OneOf:
    """One of a few values. Equal only when their types are: 1 is not `true`."""

    values: tuple[Constant, ...] = field(eq=repr)


@frozen
class ListOf:
    """A list of any length."""

    item: Shape


@frozen
class RowOf:
    """A list with one shape for each place."""

    items: tuple[Shape, ...]


@frozen
class MapOf:
    """An object of any keys, or of any of a few."""

    key: Shape
    value: Shape


@frozen
class AnyOf:
    """What one of them is."""

    members: tuple[Shape, ...]


@frozen
class AllOf:
    """What all of them are."""

    members: tuple[Shape, ...]


@frozen
class Part:
    """One member of an object. `required` on the way in; `sent`, on the way out, whatever its value."""

    name: str
    shape: Shape
    required: bool = True
    sent: bool = True
    doc: str = ""


@frozen
class ObjectOf:
    """An object that has no name of its own."""

    parts: tuple[Part, ...]


@frozen
class Ref:
    """An instance of an attrs class."""

    cls: type[Any]


@frozen
class Whole:
    """Any event, whole."""


@frozen
class Publication:
    """Any event to publish."""


@frozen
class Tracked:
    """What `tracked()` makes of it: `{id, data}`."""

    data: Shape


Shape = (
    Plain | OneOf | ListOf | RowOf | MapOf | AnyOf | AllOf | ObjectOf | Ref | Whole | Publication | Tracked
)

ANYTHING = Plain("anything")
TEXT = Plain("text")
NULL = Plain("null")
ANY_OBJECT = MapOf(TEXT, ANYTHING)

_PLAIN: Mapping[Any, Shape] = {
    Any: ANYTHING,
    object: ANYTHING,
    str: TEXT,
    int: Plain("integer"),
    float: Plain("number"),
    bool: Plain("truth"),
    NoneType: NULL,
    datetime: Plain("time"),
    bytes: Plain("octets"),
    WholeEvent: Whole(),
    PublishRequest: Publication(),
}


@frozen
class Definition:
    """What the instances of a class are made of."""

    cls: type[Any]
    doc: str
    parts: tuple[Part, ...]


@define
class Shapes:
    """All shapes that were asked for so far, and the `definitions` of every class in them."""

    definitions: dict[type[Any], Definition] = field(factory=dict, init=False)

    def of(self, type_: Any) -> Shape:
        """The shape of a type. Raises TypeError for one that has no JSON form."""
        type_ = bare(type_)
        if type_ in _PLAIN:
            return _PLAIN[type_]
        if isinstance(type_, type) and issubclass(type_, Enum):
            return _constants(member.value for member in type_)
        if is_class(type_):
            self._define(type_)
            return Ref(type_)
        return self._of_parts(get_origin(type_) or type_, get_args(type_))

    def _of_parts(self, origin: Any, arguments: Sequence[Any]) -> Shape:
        if origin is Literal:
            return _constants(arguments)
        if origin in (Union, UnionType):
            return any_of(self.of(argument) for argument in arguments)
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            return RowOf(tuple(self.of(argument) for argument in arguments))
        if origin in (list, tuple, Sequence):
            return ListOf(self.of(arguments[0] if arguments else Any))
        if origin in (dict, Mapping):
            key, value = arguments or (str, Any)
            return MapOf(self.of(key), self.of(value))
        raise TypeError(f"{origin!r} has no JSON form")

    def _define(self, cls: type[Any]) -> None:
        if cls not in self.definitions:
            self.definitions[cls] = Definition(cls, "", ())  # a class that contains itself finds it here
            self.definitions[cls] = Definition(cls, inspect.cleandoc(cls.__doc__ or ""), self.parts(cls))

    def parts(self, cls: type[Any], structurer: Structurer = wire) -> tuple[Part, ...]:
        """What the instances of a class are made of, under the keys that `structurer` reads."""
        return tuple(self._part(member) for member in structurer.members(cls))

    def _part(self, member: Member) -> Part:
        attribute = member.attribute
        return Part(
            member.key,
            self.of(attribute.type or Any),
            required=member.required,
            sent=attribute.default is not None,
            doc=attribute.metadata.get("doc") or "",
        )


def constant(value: Any) -> Shape:
    """The shape of this JSON value alone."""
    if isinstance(value, Mapping):
        return ObjectOf(tuple(Part(str(name), constant(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return RowOf(tuple(map(constant, value)))
    return OneOf((value,))


def any_of(members: Iterable[Shape]) -> Shape:
    """What one of `members` is: each said once, null last, and nothing beside what is anything."""
    flat: dict[Shape, None] = {}
    for member in members:
        flat |= dict.fromkeys(member.members if isinstance(member, AnyOf) else (member,))
    if ANYTHING in flat:
        return ANYTHING
    if NULL in flat:
        flat = {shape: None for shape in flat if shape != NULL} | {NULL: None}
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def sent_shape(part: Part) -> Shape:
    """What `part` is like when it comes out: null is never sent where leaving it out says the same."""
    if isinstance(part.shape, AnyOf) and not part.sent:
        return any_of(member for member in part.shape.members if member != NULL)
    return part.shape


def _constants(values: Iterable[Any]) -> Shape:
    plain = (value.value if isinstance(value, Enum) else value for value in values)
    return OneOf(tuple(value for value in plain if isinstance(value, Constant)))


WHOLE_PARTS = Shapes().parts(WholeEvent)
PUBLICATION_PARTS = Shapes().parts(PublishRequest)
"""What is said of an event, and of one to publish, besides that its payload is its topic's."""
