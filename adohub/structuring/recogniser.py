"""Recognises what has wire form already, so that it need be neither read nor written.

Law: what is recognised for a type, the readers accept, and writing what they read gives the same value back.
What is not recognised may be right all the same: then it is read and written.

Measured reason: of what a `task.progress` costs between its bytes and storage, reading it into its class and
writing that again were a third; recognising it takes a quarter of their time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import attrs
from attrs import define, field, validators

from adohub.structuring.readers import Member

Recogniser = Callable[[object], bool]

_MOST = sys.float_info.max
"""The bounds of a number that has none: JSON has no infinity, and no NaN."""

_NUMBERS = {int: frozenset((int,)), float: frozenset((int, float))}
_OWN_CODE = ("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__")
"""What a class has that does more when it is made than take its attributes; the last: its own `__init__`."""

_BOUND: type[Any] = type(validators.ge(0))
_ALL: type[Any] = type(validators.and_())

_is_moment = re.compile(
    r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z",
    re.ASCII,
).fullmatch
"""A time as the wire has it, on a day that every month has; the few others are read."""


class _Unrecognisable(Exception):
    """The type has something that only its own code can judge."""


@define
class _Shape:
    """What a recognised object holds, by wire names, sorted by how it is looked at."""

    texts: list[str] = field(factory=list)
    choices: list[tuple[str, frozenset[str]]] = field(factory=list)
    numbers: list[tuple[str, frozenset[type], float, float]] = field(factory=list)
    moments: list[str] = field(factory=list)

    def add(self, member: Member) -> None:
        """Raises _Unrecognisable."""
        attribute = member.attribute
        if attribute.converter is not None:
            raise _Unrecognisable
        if attribute.type is int or attribute.type is float:
            low, high = _bounds(attribute.validator)
            self.numbers.append((member.key, _NUMBERS[attribute.type], low, high))
        elif attribute.validator is not None:
            raise _Unrecognisable
        elif attribute.type is str:
            self.texts.append(member.key)
        elif attribute.type is datetime:
            self.moments.append(member.key)
        elif get_origin(attribute.type) is Literal and all(one.__class__ is str for one in member.tags):
            self.texts.append(member.key)
            self.choices.append((member.key, frozenset(get_args(attribute.type))))
        else:
            raise _Unrecognisable


def _bounds(validator: Any) -> tuple[float, float]:
    """What a number must be between, both included. Raises _Unrecognisable."""
    low, high = -_MOST, _MOST
    parts: Sequence[Any] = () if validator is None else (validator,)
    if isinstance(validator, _ALL):
        parts = getattr(validator, "_validators")  # noqa: B009 - attrs has no public name for it
    for part in parts:
        if not isinstance(part, _BOUND) or part.compare_op not in ("<=", ">="):
            raise _Unrecognisable
        low, high = (max(low, part.bound), high) if part.compare_op == ">=" else (low, min(high, part.bound))
    return low, high


def recogniser(cls: type[Any], members: Sequence[Member]) -> Recogniser:
    """Recognises objects that give every one of `members`, the attributes of `cls`, and nothing else.

    A class with code of its own, or with parts that are not single values, recognises nothing.
    """
    shape = _Shape()
    try:
        for member in members:
            shape.add(member)
    except _Unrecognisable:
        return _nothing
    has_own_code = (
        any(hasattr(cls, name) for name in _OWN_CODE)
        or "__attrs_attrs__" not in vars(cls)
        or any("__new__" in vars(one) for one in cls.__mro__[:-1])
    )
    keys = {member.key for member in members}
    if has_own_code or len(keys) != len(attrs.fields(cls)):
        return _nothing
    return _by_shape(shape, len(members))


def _nothing(value: object) -> bool:
    return False


def _by_shape(shape: _Shape, count: int) -> Recogniser:
    texts, choices, numbers, moments = map(tuple, attrs.astuple(shape, recurse=False))

    def recognises(value: Any) -> bool:  # noqa: PLR0911 - it says no as soon as it can
        if value.__class__ is not dict or len(value) != count:
            return False
        try:
            for key in texts:
                if value[key].__class__ is not str:
                    return False
            for key, options in choices:
                if value[key] not in options:
                    return False
            for key, classes, low, high in numbers:
                number = value[key]
                if number.__class__ not in classes or not low <= number <= high:
                    return False
            for key in moments:
                text = value[key]
                if text.__class__ is not str or not _is_moment(text):
                    return False
        except (KeyError, ValueError):
            return False
        return True

    return recognises
