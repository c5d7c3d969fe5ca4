"""Values without parts: each hook lets its own kind through, unchanged, and refuses the rest in words."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from math import isfinite
from types import NoneType
from typing import Any

from adohub.structuring.faults import shown, wanted

Hook = Callable[[Any, Any], Any]
"""Reads a value, or raises. The second argument is cattrs' custom, and a careful reader's own affair."""


def as_is(value: Any, _: Any) -> Any:
    """Anything."""
    return value


def exactly(kind: type, word: str) -> Hook:
    """An instance of `kind`; but no bool where a number is wanted."""

    def read(value: Any, _: Any) -> Any:
        if value.__class__ is kind or (isinstance(value, kind) and not isinstance(value, bool)):
            return value
        raise wanted(word, value)

    return read


def number(value: Any, _: Any) -> Any:
    """A finite number; an int stays an int."""
    if value.__class__ is int:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return value
    raise wanted("number", value)


def moment(value: Any, _: Any) -> datetime:
    """A datetime in UTC, from a datetime or from ISO 8601 text; one that names no zone is taken as UTC."""
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise wanted("ISO 8601 time", value) from None


def octets(value: Any, _: Any) -> bytes:
    """Bytes, as MessagePack has them, or base64 text, as JSON does."""
    try:
        return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise wanted("base64 text", value) from None


def one_of(choices: Mapping[Any, Any]) -> Hook:
    """One of `choices`, which gives what each stands for. Types count: neither `true` nor 1.0 is 1."""
    table = {(choice.__class__, choice): meaning for choice, meaning in choices.items()}
    word = "one of " + ", ".join(map(shown, choices))

    def read(value: Any, _: Any) -> Any:
        try:
            return table[value.__class__, value]
        except (KeyError, TypeError):
            if isinstance(value, Enum) and value in choices.values():
                return value
            raise wanted(word, value) from None

    return read


LEAVES: Mapping[Any, Hook] = {
    Any: as_is,
    object: as_is,
    str: exactly(str, "string"),
    int: exactly(int, "integer"),
    bool: exactly(bool, "true or false"),
    float: number,
    datetime: moment,
    bytes: octets,
    NoneType: exactly(NoneType, "null"),
}
