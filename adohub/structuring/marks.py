"""Where in a typed value's JSON times and octets stand as text, and where anything may stand.

Law: "Date" is marked where reading the value would give a datetime, "bytes" where it would give bytes, and
nothing else; of a union the type counts that would read the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Protocol, Union, get_args, get_origin

from attrs import define, field, frozen

from adohub.notes import Note, Notes, Path, below
from adohub.structuring.leaves import Hook
from adohub.structuring.readers import STOPPED, Member, Reader, bare, best_fitting, is_class


@frozen
class Marks:
    """What is known of one type.

    `is_plain`: no value of it has anything to mark; `is_closed`: there is nothing in it that may be anything.
    """

    _shape: _Shape
    is_plain: bool
    is_closed: bool

    def find(self, value: Any) -> Notes:
        """The notes of `value`, the JSON of an instance of the type."""
        return () if self.is_plain else tuple(self._shape.notes(value, ()))

    def free(self, path: Path) -> bool:
        """Whether what is at `path` may be anything, so that only its own notes tell what it is."""
        return self._shape.is_free(path)


@frozen
class Varying:
    """In objects of class `cls`, what is at `key` has those of `marks` that go by the text at `by`."""

    cls: type[Any]
    key: str
    by: str
    marks: Mapping[str, Marks]


def marks(type_: Any, reader: Reader, varying: Varying | None = None) -> Marks:
    """The marks of `type_`, whose parts have the names that `reader` gives them.

    Raises TypeError if it has no JSON form.
    """
    reader.hook(type_)
    shape = _Shapes(reader, varying).shape(type_)
    return Marks(
        shape,
        is_plain=not _can_be_marked(shape),
        is_closed=not any(isinstance(one, _Anything) for one in _everything_in(shape)),
    )


class _Shape(Protocol):
    """A type, as far as marks go."""

    @property
    def parts(self) -> Sequence[_Shape]:
        """The types in it."""
        ...

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        """Those of `value`, which is at `path`."""
        ...

    def is_free(self, path: Path) -> bool:
        """Whether anything may stand at `path` inside it."""
        ...


@frozen
class _Leaf:
    """A text that stands for something, if it has a `kind`; else what needs no mark."""

    kind: str = ""
    parts: Sequence[_Shape] = ()

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        if self.kind and isinstance(value, str):
            yield path, self.kind

    def is_free(self, path: Path) -> bool:
        return False


@frozen
class _Anything:
    """`Any`: only what stands there can tell."""

    parts: Sequence[_Shape] = ()

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        yield from ()

    def is_free(self, path: Path) -> bool:
        return True


@define(eq=False)
class _Object:
    """An attrs class. Its `fields` are set once they are known: it may be among them."""

    fields: Mapping[str, _Shape] = field(factory=dict)
    _marked: Sequence[tuple[str, _Shape]] | None = None

    @property
    def parts(self) -> Sequence[_Shape]:
        return [*self.fields.values()]

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        if not isinstance(value, Mapping):
            return
        if self._marked is None:
            self._marked = [(key, shape) for key, shape in self.fields.items() if _can_be_marked(shape)]
        for key, shape in self._marked:
            if key in value:
                yield from shape.notes(value[key], (*path, key))

    def is_free(self, path: Path) -> bool:
        return bool(path) and path[0] in self.fields and self.fields[str(path[0])].is_free(path[1:])


@define(eq=False)
class _VaryingObject(_Object):
    """An attrs class of which one part is told by another."""

    varying: Varying = field(kw_only=True)

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        yield from super().notes(value, path)
        varying = self.varying
        if isinstance(value, Mapping) and varying.key in value:
            found = varying.marks.get(str(value.get(varying.by)))
            if found is not None:
                yield from below(found.find(value[varying.key]), *path, varying.key)


@frozen
class _Items:
    """A list, each item of one type."""

    item: _Shape

    @property
    def parts(self) -> Sequence[_Shape]:
        return (self.item,)

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        if isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from self.item.notes(item, (*path, index))

    def is_free(self, path: Path) -> bool:
        return bool(path) and self.item.is_free(path[1:])


@frozen
class _Places:
    """A list with a type for each place."""

    parts: Sequence[_Shape]

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        if isinstance(value, list | tuple):
            for index, (item, shape) in enumerate(zip(value, self.parts, strict=False)):
                yield from shape.notes(item, (*path, index))

    def is_free(self, path: Path) -> bool:
        index = path[0] if path else None
        return isinstance(index, int) and index < len(self.parts) and self.parts[index].is_free(path[1:])


@frozen
class _Pairs:
    """An object with any keys."""

    value: _Shape

    @property
    def parts(self) -> Sequence[_Shape]:
        return (self.value,)

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from self.value.notes(item, (*path, key))

    def is_free(self, path: Path) -> bool:
        return bool(path) and self.value.is_free(path[1:])


_Option = tuple[Hook, _Shape]


@frozen
class _Choice:
    """A union: of `classes` those whose members fit best, then `others` in order, as it is read."""

    classes: Sequence[tuple[_Option, Sequence[Member]]]
    others: Sequence[_Option]

    @property
    def parts(self) -> Sequence[_Shape]:
        return [shape for _, shape in (*(option for option, _ in self.classes), *self.others)]

    def notes(self, value: Any, path: Path) -> Iterator[Note]:
        for hook, shape in (*best_fitting(self.classes, value), *self.others):
            try:
                hook(value, None)
            except STOPPED:
                continue
            yield from shape.notes(value, path)
            return

    def is_free(self, path: Path) -> bool:
        return any(shape.is_free(path) for shape in self.parts)


_LEAVES: Mapping[Any, _Shape] = {
    Any: _Anything(),
    object: _Anything(),
    datetime: _Leaf("Date"),
    bytes: _Leaf("bytes"),
}


class _Shapes:
    """Makes them, each class once."""

    def __init__(self, reader: Reader, varying: Varying | None) -> None:
        self._reader = reader
        self._varying = varying
        self._objects: dict[type[Any], _Object] = {}

    def shape(self, type_: Any) -> _Shape:
        type_ = bare(type_)
        origin, arguments = get_origin(type_) or type_, get_args(type_)
        if is_class(type_):
            return self._of_class(type_)
        if origin in (Union, UnionType):
            return self._of_union(list(map(bare, arguments)))
        if origin in (list, tuple, Sequence, dict, Mapping):
            return self._of_container(origin, arguments)
        return _LEAVES.get(origin, _Leaf())

    def _of_container(self, origin: Any, arguments: Sequence[Any]) -> _Shape:
        if origin in (dict, Mapping):
            return _Pairs(self.shape(arguments[1] if arguments else Any))
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            return _Places([self.shape(argument) for argument in arguments])
        return _Items(self.shape(arguments[0] if arguments else Any))

    def _of_class(self, cls: type[Any]) -> _Object:
        if cls not in self._objects:
            varying = self._varying
            found = _VaryingObject(varying=varying) if varying and varying.cls is cls else _Object()
            self._objects[cls] = found
            members = self._reader.members(cls)
            found.fields = {member.key: self.shape(member.attribute.type or Any) for member in members}
        return self._objects[cls]

    def _of_union(self, types: Sequence[Any]) -> _Shape:
        types = [type_ for type_ in types if type_ is not NoneType]
        if len(types) == 1:
            return self.shape(types[0])
        options = [(type_, (self._reader.hook(type_), self.shape(type_))) for type_ in types]
        return _Choice(
            [(option, self._reader.members(type_)) for type_, option in options if is_class(type_)],
            [option for type_, option in options if not is_class(type_)],
        )


def _can_be_marked(shape: _Shape) -> bool:
    """Whether there is a time or octets anywhere in it."""
    return any(isinstance(one, _Leaf) and one.kind for one in _everything_in(shape))


def _everything_in(shape: _Shape) -> Iterator[_Shape]:
    """It and all that is in it, each once."""
    seen: set[int] = set()
    open_ends = [shape]
    while open_ends:
        one = open_ends.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            open_ends += one.parts
