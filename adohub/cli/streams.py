"""The standard streams: always there, never too narrow for a character, coloured only on a terminal."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from adohub.cli.ending import OutputFailed


def prepare() -> None:
    """Open what we were started without, and let any character be written, escaped where need be."""
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open()  # in this order: each takes the lowest free descriptor, its own
    sys.stdout = sys.stdout or nowhere.open("w")
    sys.stderr = sys.stderr or nowhere.open("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write to stdout, at once. Raises OutputFailed; BrokenPipeError if nobody reads it any more."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise OutputFailed(f"cannot write to stdout: {fault.strerror}") from fault


def note(text: str) -> None:
    """A line on stderr, for people."""
    sys.stderr.write(f"adohub: {text}\n")
    sys.stderr.flush()


def is_live() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def is_coloured() -> bool:
    """Whether stdout is for colours: a terminal that can show them, and whose user did not set NO_COLOR."""
    return is_live() and not os.environ.get("NO_COLOR")
