"""Values as lines of text on stdout, for people or for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import orjson

from adohub.cli.harmless import one_line
from adohub.cli.streams import is_coloured, write


def print_line(text: str) -> None:
    """One line, at once."""
    write(text + "\n")


def print_json(value: Any) -> None:
    """One line of JSON, at once."""
    print_line(orjson.dumps(value).decode())


def print_event(event: Mapping[str, Any]) -> None:
    """One event for people: when, what, of whom, and the payload; in colour on a terminal."""
    style = click.style if is_coloured() else _unstyled
    parts = [
        style(event["timestamp"], dim=True),
        style(event["topic"], fg="cyan"),
        style("-" if event["key"] is None else one_line(event["key"]), bold=True),
        one_line(orjson.dumps(event["payload"]).decode()),
    ]
    print_line(" ".join(parts))


def _unstyled(text: str, **_: object) -> str:
    return text
