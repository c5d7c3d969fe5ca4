"""Each leaf takes exactly its own kind of value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from types import NoneType
from typing import Any, Literal

import pytest

from adohub.structuring import StructureError, wire
from tests.structuring.shapes import Colour


class Level(IntEnum):
    """An enum that is a number."""

    LOW = 1


class Word(StrEnum):
    """An enum that is text."""

    HELLO = "hello"


class Pair(Enum):
    """An enum whose values JSON has no form for; members are still taken."""

    ONE = (1, 2)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (str, ""),
        (str, Word.HELLO),
        (int, 10**30),
        (int, Level.LOW),
        (bool, False),
        (float, 1.5),
        (float, 5),
        (float, 10**400),
        (NoneType, None),
        (Any, {"a": [None]}),
        (object, 5),
        (bytes, b"\x00"),
        (Literal["a", 1], 1),
        (Literal["a", 1], "a"),
        (Colour, Colour.BLUE),
        (Pair, Pair.ONE),
    ],
)
def test_a_value_of_its_own_kind_passes_unchanged(type_: Any, value: object) -> None:
    assert wire.structure(value, type_) is value


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (str, 5, "expected string, got 5"),
        (str, None, "expected string, got null"),
        (int, "5", 'expected integer, got "5"'),
        (int, 5.0, "expected integer, got 5.0"),
        (int, True, "expected integer, got true"),
        (bool, 1, "expected true or false, got 1"),
        (bool, "true", 'expected true or false, got "true"'),
        (float, "x", 'expected number, got "x"'),
        (float, True, "expected number, got true"),
        (float, float("nan"), "expected number, got NaN"),
        (float, float("inf"), "expected number, got Infinity"),
        (NoneType, 0, "expected null, got 0"),
        (bytes, "*", 'expected base64 text, got "*"'),
        (bytes, 5, "expected base64 text, got 5"),
        (datetime, "soon", 'expected ISO 8601 time, got "soon"'),
        (datetime, 5, "expected ISO 8601 time, got 5"),
        (datetime, "0001-01-01T00:00:00+14:00", 'expected ISO 8601 time, got "0001-01-01T00:00:00+14:00"'),
        (Literal["a", 1], True, 'expected one of "a", 1, got true'),
        (Literal["a", 1], 1.0, 'expected one of "a", 1, got 1.0'),
        (Literal["a", 1], ["a"], 'expected one of "a", 1, got ["a"]'),
        (Colour, "green", 'expected one of "red", "blue", got "green"'),
        (Level, True, "expected one of 1, got true"),
    ],
)
def test_another_kind_is_refused_in_words(type_: Any, value: object, message: str) -> None:
    with pytest.raises(StructureError) as caught:
        wire.structure(value, type_)
    assert str(caught.value) == message


def test_an_enum_is_read_from_its_value() -> None:
    assert wire.structure("blue", Colour) is Colour.BLUE
    assert wire.structure(1, Level) is Level.LOW


def test_base64_text_is_read_into_bytes() -> None:
    assert wire.structure("aGk=", bytes) == b"hi"


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T05:04:05.678+02:00",
        "2026-01-02T03:04:05.678",
        datetime(2026, 1, 2, 3, 4, 5, 678000),  # noqa: DTZ001
        datetime(2026, 1, 2, 5, 4, 5, 678000, timezone(timedelta(hours=2))),
    ],
)
def test_a_time_becomes_aware_and_utc(value: object) -> None:
    moment = wire.structure(value, datetime)
    assert moment == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert moment.tzinfo is UTC
