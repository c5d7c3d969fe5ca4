"""TOML text to plain values; whatever is wrong with the text is a problem with a line and a column."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from adohub.errors import ConfigError, Problem

_LOCATED = re.compile(
    r"(?P<what>.*) \(at (line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of the file at `path`. Raises `ConfigError` if it cannot be read, or is no TOML."""
    text = _text(path)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        where, what = _located(str(error), text)
        raise ConfigError([Problem(str(path), where, what)]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), "", "nested too deeply")]) from None


def read_value(text: str) -> Any:
    """One value as TOML has it, or the text itself where it does not even look like TOML.

    Raises `ValueError` for a string, array or table that is not finished or not followed by the end.
    """
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        table = {}
    if table.keys() == {"value"}:
        return table["value"]
    if text.startswith(('"', "'", "[", "{")):
        raise ValueError("not a TOML value")
    return text


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        message = "not UTF-8 text"
    except FileNotFoundError:
        message = "no such file"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    raise ConfigError([Problem(str(path), "", message)])


def _located(message: str, text: str) -> tuple[str, str]:
    """The parser's `message` about `text`, taken apart: where, and what. At the end it names no place."""
    match = _LOCATED.fullmatch(message)
    if match is None:
        return "", message
    lines = text.split("\n")
    line = match["line"] or len(lines)
    column = match["column"] or len(lines[-1]) + 1
    what = match["what"]
    return f"line {line}, column {column}", what[:1].lower() + what[1:]
