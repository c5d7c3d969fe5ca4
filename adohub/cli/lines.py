"""Values as lines of text on stdout, for people or for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click
import orjson

from adohub.cli.view import harmless


def print_line(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """One line of JSON, at once."""
    print_line(orjson.dumps(value).decode())


def print_event(event: Mapping[str, Any]) -> None:
    """One event for people: when, what, of whom, and the payload; in colour on a terminal."""
    payload = harmless(orjson.dumps(event["payload"]).decode())
    parts = [
        click.style(event["timestamp"], dim=True),
        click.style(event["topic"], fg="cyan"),
        click.style(harmless(event["key"] or "-"), bold=True),
        payload,
    ]
    click.echo(" ".join(parts))
    sys.stdout.flush()
