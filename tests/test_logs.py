"""What a line of the log looks like, by format, and that nobody's words make two lines of it, or colours."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import pytest
import structlog

from adohub import logs
from adohub.config import Logging

Format: TypeAlias = Literal["console", "journal", "json"]
Written: TypeAlias = Callable[[], str]

FORMATS: tuple[Format, ...] = ("console", "journal", "json")
HOSTILE = "a\r\n<0>forged \x1b[31mred\x07 \x9b2J \u2028 b"


@pytest.fixture(autouse=True)
def back_to_defaults() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logging_as(format_: Format, level: Literal["debug", "info", "warning"] = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(Logging(level=level, format=format_), stream)
    return stream


@pytest.mark.parametrize("format_", FORMATS)
def test_words_of_strangers_stay_in_their_line_and_command_no_terminal(format_: Format) -> None:
    stream = logging_as(format_)
    structlog.get_logger().warning("credential refused", reason=HOSTILE, address="192.0.2.1")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert not set("\r\x1b\x07\x9b\u2028") & set(written)
    assert "forged" in written


@pytest.mark.parametrize("format_", FORMATS)
def test_less_than_the_level_is_not_written(format_: Format) -> None:
    stream = logging_as(format_, "warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_json_has_level_event_time_and_values() -> None:
    stream = logging_as("json")
    structlog.get_logger().warning("it rains", where="outside", number=3)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "warning", "event": "it rains", "where": "outside", "number": 3}


def test_the_journal_is_told_the_priority_of_each_line_of_a_traceback() -> None:
    stream = logging_as("journal")
    structlog.get_logger().error("it broke", exc_info=ValueError("in\n<0>pieces"))
    first, *trace = stream.getvalue().splitlines()
    assert first == "<3>it broke"
    assert trace
    assert {line[:3] for line in trace} == {"<3>"}


@pytest.mark.parametrize("format_", FORMATS)
def test_what_an_exception_says_forges_no_line_and_commands_no_terminal(format_: Format) -> None:
    stream = logging_as(format_)
    structlog.get_logger().error("it broke", exc_info=ValueError(HOSTILE))
    first, *trace = stream.getvalue().removesuffix("\n").split("\n")
    assert "it broke" in first
    assert not set("\r\x1b\x07\x9b\u2028") & set(stream.getvalue())
    assert all(line.removeprefix("<3>").startswith("  | ") for line in trace)
    assert "forged" in stream.getvalue()


def test_a_traceback_on_the_console_shows_no_local_variables() -> None:
    stream = logging_as("console")

    def fail(secret: str) -> None:
        raise ValueError("as planned")

    try:
        fail("hunter2")
    except ValueError as error:
        structlog.get_logger().error("it broke", exc_info=error)
    assert "as planned" in stream.getvalue()
    assert "hunter2" not in stream.getvalue().replace('fail("hunter2")', "")
