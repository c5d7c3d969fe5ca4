"""How the hub's own log lines look: set once, at start, before anything is logged.

Law: whatever strangers have put into a value, a line of the log stays one line and no terminal obeys it.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from adohub.config import Logging

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog's priorities, which journald reads from a line's `<N>`."""


def set_up(config: Logging, stream: TextIO = sys.stderr) -> None:
    """Log to `stream` as `config` says; "auto" is console on a terminal, journal under systemd, else JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _harmless,
            *_processors(_chosen(config.format, stream), stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(config.level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def _harmless(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _escaped(value)
    return event


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _trace_lines(trace: str) -> list[str]:
    """The lines of a traceback, marked: what an exception says may have lines that look like the log's."""
    return [f"  | {_escaped(line)}" for line in trace.strip("\n").split("\n")]


def _chosen(format_: str, stream: TextIO) -> str:
    if format_ != "auto":
        return format_
    if stream.isatty():
        return "console"
    return "journal" if "JOURNAL_STREAM" in os.environ else "json"


def _processors(format_: str, stream: TextIO) -> list[structlog.typing.Processor]:
    if format_ == "console":
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        return [stamp, _console(stream)]
    if format_ == "journal":
        return [structlog.processors.format_exc_info, _journal_line]
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [stamp, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _console(stream: TextIO) -> structlog.dev.ConsoleRenderer:
    """Plain tracebacks: the pretty ones show local variables, and with them what must stay secret."""

    def plain(into: TextIO, exception: Any) -> None:
        text = io.StringIO()
        structlog.dev.plain_traceback(text, exception)
        into.write("\n" + "\n".join(_trace_lines(text.getvalue())))

    colours = stream.isatty() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)


def _journal_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """`<6>what happened key=value`: journald keeps the time itself."""
    priority = _PRIORITIES.get(event.pop("level", "info"), 6)
    words = [str(event.pop("event", ""))]
    trace = event.pop("exception", None)
    words += [f"{name}={value}" for name, value in event.items()]
    lines = [" ".join(words), *(_trace_lines(trace) if trace else [])]
    return "\n".join(f"<{priority}>{line}" for line in lines)
