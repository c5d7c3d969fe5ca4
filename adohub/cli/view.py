"""What a terminal shows of one task: a live bar with the output above it, or plain lines in a pipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

MAX_PARTIAL_LINE_CHARS = 16_384
"""A line without an end is shown after this many characters."""

_CONTROLS = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def harmless(text: str) -> str:
    """`text` without terminal control sequences, which could do more than be read."""
    return _CONTROLS.sub("", text)


class View(Protocol):
    """Shows one task's events in their order."""

    def progress(self, payload: Mapping[str, Any]) -> None: ...
    def output(self, payload: Mapping[str, Any]) -> None: ...
    def completed(self, payload: Mapping[str, Any]) -> None: ...


class Lines:
    """Puts pieces of output together again to lines, for each agent and stream apart."""

    def __init__(self) -> None:
        self._partial: dict[tuple[str, str], str] = {}

    def add(self, agent: str, stream: str, content: str) -> Iterator[str]:
        """The lines that `content` completes."""
        *complete, rest = (self._partial.pop((agent, stream), "") + content).split("\n")
        yield from (line.rstrip("\r").rpartition("\r")[2] for line in complete)
        if len(rest) > MAX_PARTIAL_LINE_CHARS:
            yield rest
        elif rest:
            self._partial[agent, stream] = rest

    def rest(self) -> Iterator[str]:
        """The lines that never ended."""
        yield from self._partial.values()
        self._partial.clear()


class PlainView:
    """One line for each thing that happens."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._lines = Lines()
        self._shown: tuple[str, int] | None = None

    def progress(self, payload: Mapping[str, Any]) -> None:
        """A line when the phase or the whole percent has changed."""
        step = (payload["phase"], int(payload["progress"]))
        if step != self._shown:
            self._shown = step
            self._say(f"[{step[0]} {step[1]:3d}%] {harmless(payload['message'])}")

    def output(self, payload: Mapping[str, Any]) -> None:
        """The lines it completes."""
        for line in self._lines.add(payload["agentId"], payload["type"], payload["content"]):
            self._say(harmless(line))

    def completed(self, payload: Mapping[str, Any]) -> None:
        """What is left, and the end."""
        for line in self._lines.rest():
            self._say(harmless(line))
        self._say(_ending(payload))

    def _say(self, line: str) -> None:
        self._write(line + "\n")


class LiveView:
    """A progress bar that stays below the output."""

    def __init__(self, console: Console, task: str) -> None:
        self._console = console
        self._lines = Lines()
        self._bar = Progress(
            TextColumn("[bold]{task.fields[name]}"),
            TextColumn("{task.fields[phase]:<8}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            expand=True,
        )
        self._row: TaskID = self._bar.add_task("waiting …", total=100, name=harmless(task), phase="")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The bar is on the screen during the block."""
        with self._bar:
            yield

    def progress(self, payload: Mapping[str, Any]) -> None:
        """Move the bar."""
        message = harmless(payload["message"])[:60]
        self._bar.update(
            self._row, completed=payload["progress"], description=message, phase=payload["phase"]
        )

    def output(self, payload: Mapping[str, Any]) -> None:
        """Print the lines it completes above the bar; errors in red."""
        style = {"stderr": "red", "tool_call": "cyan", "tool_result": "dim cyan"}.get(payload["type"], "")
        for line in self._lines.add(payload["agentId"], payload["type"], payload["content"]):
            self._print(line, style)

    def completed(self, payload: Mapping[str, Any]) -> None:
        """Print what is left, and the end."""
        for line in self._lines.rest():
            self._print(line, "")
        good = payload["status"] == "completed"
        if good:
            self._bar.update(self._row, completed=100)
        self._print(_ending(payload), "bold green" if good else "bold red")

    def _print(self, line: str, style: str) -> None:
        self._console.print(Text.from_ansi(line, style=style), highlight=False, soft_wrap=True)


def _ending(payload: Mapping[str, Any]) -> str:
    return f"{harmless(payload['taskId'])} {payload['status']} in {payload['duration'] / 1000:.1f} s"
