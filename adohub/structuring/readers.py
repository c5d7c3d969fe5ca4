"""From a type to the hook that reads it; and the quick reader, made by cattrs, which explains nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import repeat
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin

import attrs
from attrs import frozen
from cattrs import Converter
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from adohub.structuring.faults import Refusal, wanted
from adohub.structuring.leaves import LEAVES, Hook, one_of

T = TypeVar("T")

STOPPED = (ValueError, TypeError, KeyError, ForbiddenExtraKeysError, RecursionError)
"""What the quick reader raises for a bad value; anything else is a validator's bug, and is let through."""

Build = Callable[[list[Any]], Any]


@frozen
class Member:
    """One attribute of an attrs class, as a reader meets it: under `key`, read by `hook`."""

    attribute: attrs.Attribute[Any]
    key: str
    hook: Hook

    @property
    def argument(self) -> str:
        """Its name in the constructor."""
        return self.attribute.alias or self.attribute.name

    @property
    def required(self) -> bool:
        """Whether the class has no default for it."""
        return self.attribute.default is attrs.NOTHING

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return bool(self.attribute.metadata.get("secret"))

    @property
    def tags(self) -> tuple[Any, ...]:
        """The literals that tell its class from others in a union; empty if it takes more than literals."""
        return get_args(self.attribute.type) if get_origin(self.attribute.type) is Literal else ()


class Reader(ABC):
    """What both readers know: which hook reads which type. They differ in how they read what has parts."""

    def __init__(self, key: Callable[[str], str], *, closed: bool) -> None:
        self.key = key
        self.closed = closed
        self._hooks: dict[Any, Hook] = {}

    def hook(self, type_: Any) -> Hook:
        """The hook of `type_`, made once. A type that contains itself finds a promise of its hook meanwhile.

        Raises `TypeError` for a type that has no JSON form.
        """
        type_ = bare(type_)
        if type_ not in self._hooks:
            self._hooks[type_] = self._promise(type_)
            try:
                self._hooks[type_] = self._make(type_)
            except TypeError:
                self._hooks.clear()  # some may hold the promise, which nobody would ever keep
                raise
        return self._hooks[type_]

    def _promise(self, type_: Any) -> Hook:
        def read(value: Any, _: Any) -> Any:
            return self.hook(type_)(value, _)

        return read

    def _make(self, type_: Any) -> Hook:
        if type_ in LEAVES:
            return LEAVES[type_]
        if isinstance(type_, type) and issubclass(type_, Enum):
            return one_of({member.value: member for member in type_})
        if is_class(type_):
            return self.of_class(type_, self.members(type_))
        make = _SHAPES.get(get_origin(type_) or type_)
        if make is None:
            raise TypeError(f"{type_!r} has no JSON form")
        return make(self, get_args(type_))

    def members(self, cls: type[Any]) -> tuple[Member, ...]:
        """The attributes of `cls` that its constructor takes."""
        try:
            attrs.resolve_types(cls)
        except NameError as error:
            raise TypeError(f"{cls.__qualname__}: {error}") from error
        return tuple(
            Member(attribute, self.key(attribute.name), self.hook(attribute.type or Any))
            for attribute in attrs.fields(cls)
            if attribute.init
        )

    @abstractmethod
    def of_class(self, cls: type[Any], members: Sequence[Member]) -> Hook:
        """Reads an object into an attrs class."""

    @abstractmethod
    def of_items(self, hooks: Iterable[Hook], build: Build) -> Hook:
        """Reads a list, the first item by the first of `hooks` and so on; `build` makes the result of it."""

    @abstractmethod
    def of_pairs(self, key: Hook, value: Hook) -> Hook:
        """Reads an object of any keys into a dict."""

    def of_list(self, arguments: Sequence[Any]) -> Hook:
        """Reads a list into a list."""
        return self.of_items(repeat(self.hook(arguments[0] if arguments else Any)), list)

    def of_sequence(self, arguments: Sequence[Any]) -> Hook:
        """Reads a list into a tuple."""
        return self.of_items(repeat(self.hook(arguments[0] if arguments else Any)), tuple)

    def of_tuple(self, arguments: Sequence[Any]) -> Hook:
        """Reads a list into a tuple: of any length, or with one type per place."""
        if not arguments or arguments[-1] is Ellipsis:
            return self.of_sequence(arguments)
        items = self.of_items([self.hook(argument) for argument in arguments], tuple)

        def read(value: Any, _: Any) -> Any:
            if isinstance(value, list | tuple) and len(value) != len(arguments):
                raise wanted(f"list of {len(arguments)}", value)
            return items(value, _)

        return read

    def of_mapping(self, arguments: Sequence[Any]) -> Hook:
        """Reads an object into a dict."""
        key, value = arguments or (str, Any)
        return self.of_pairs(self.hook(key), self.hook(value))

    def of_literals(self, arguments: Sequence[Any]) -> Hook:
        """Reads one of a few values."""
        return one_of({argument: argument for argument in arguments})

    def of_union(self, arguments: Sequence[Any]) -> Hook:
        """Reads what one of the types reads: of classes those whose keys fit best, then the rest in order."""
        types = [bare(argument) for argument in arguments]
        others = [type_ for type_ in types if type_ is not NoneType]
        if len(others) == 1 < len(types):
            return _or_null(self.hook(others[0]))
        classes = [(self.hook(type_), self.members(type_)) for type_ in types if is_class(type_)]
        rest = [self.hook(type_) for type_ in types if not is_class(type_)]

        def read(value: Any, _: Any) -> Any:
            return _first_read([*best_fitting(classes, value), *rest], value)

        return read


class QuickReader(Reader):
    """The happy path: stops at the first fault, in any words or none."""

    def of_class(self, cls: type[Any], members: Sequence[Member]) -> Hook:
        """What cattrs generates, behind a check that there is an object at all."""
        overrides: dict[str, Any] = {
            member.attribute.name: override(rename=member.key, struct_hook=member.hook) for member in members
        }
        generated = make_dict_structure_fn(
            cls,
            _GENERATOR,
            _cattrs_forbid_extra_keys=self.closed,
            _cattrs_detailed_validation=False,
            **overrides,
        )

        def read(value: Any, _: Any) -> Any:
            if value.__class__ is not dict and not isinstance(value, Mapping):
                raise Refusal
            return generated(value, cls)

        return read

    def of_items(self, hooks: Iterable[Hook], build: Build) -> Hook:
        """All items or nothing."""

        def read(value: Any, _: Any) -> Any:
            if not isinstance(value, list | tuple):
                raise Refusal
            return build([hook(item, None) for item, hook in zip(value, hooks, strict=False)])

        return read

    def of_pairs(self, key: Hook, value: Hook) -> Hook:
        """All pairs or nothing."""

        def read(given: Any, _: Any) -> Any:
            if not isinstance(given, Mapping):
                raise Refusal
            return {key(name, None): value(item, None) for name, item in given.items()}

        return read


_GENERATOR = Converter(detailed_validation=False)

_SHAPES: Mapping[Any, Callable[[Reader, Sequence[Any]], Hook]] = {
    Literal: Reader.of_literals,
    Union: Reader.of_union,
    UnionType: Reader.of_union,
    tuple: Reader.of_tuple,
    list: Reader.of_list,
    Sequence: Reader.of_sequence,
    dict: Reader.of_mapping,
    Mapping: Reader.of_mapping,
}


def bare(type_: Any) -> Any:
    """`type_` without what only type checkers read."""
    if type_ is None:
        return NoneType
    if get_origin(type_) in (Annotated, Final):
        return bare(get_args(type_)[0])
    if isinstance(type_, NewType):
        return bare(type_.__supertype__)
    return type_


def is_class(type_: Any) -> bool:
    """Whether `type_` is an attrs class; a generic one would need its parameters, which have no JSON form."""
    return isinstance(type_, type) and attrs.has(type_) and get_origin(type_) is None


def _or_null(hook: Hook) -> Hook:
    return lambda value, _: None if value is None else hook(value, _)


def best_fitting(classes: Sequence[tuple[T, Sequence[Member]]], value: Any) -> list[T]:
    """What stands for the classes that `value`'s keys fit best.

    Only keys and tags are looked at: if every class read it, a value nested n deep would be read 2^n times.
    """
    if not isinstance(value, Mapping) or not classes:
        return [one for one, _ in classes]
    misfits = [_misfit(members, value) for _, members in classes]
    return [one for (one, _), misfit in zip(classes, misfits, strict=True) if misfit == min(misfits)]


def _misfit(members: Sequence[Member], given: Mapping[Any, Any]) -> tuple[int, int]:
    missing = sum(member.required and member.key not in given for member in members)
    foreign = sum(bool(member.tags) and given.get(member.key) not in member.tags for member in members)
    return missing + foreign, -sum(member.key in given for member in members)


def _first_read(hooks: Sequence[Hook], value: Any) -> Any:
    refusals: list[Refusal] = []
    for hook in hooks:
        try:
            return hook(value, None)
        except Refusal as refusal:
            refusals.append(refusal)
        except STOPPED:
            continue
    raise _closest(refusals, value)


def _closest(refusals: Sequence[Refusal], value: Any) -> Refusal:
    """Of several types' refusals of `value`, the one that got inside it; else all they wanted, in one."""
    for refusal in refusals:
        if any(flaw.path for flaw in refusal.flaws):
            return refusal
    words = dict.fromkeys(flaw.message.removeprefix("expected ") for it in refusals for flaw in it.flaws)
    return wanted(" or ".join(words), value)
