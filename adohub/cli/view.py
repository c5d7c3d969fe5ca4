"""What a terminal shows of one task: a live bar with the output above it, or plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from adohub.cli.harmless import harmless, in_its_colours, one_line

MAX_PARTIAL_LINE_CHARS = 16_384
"""A line without an end is shown after this many characters."""


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
        yield from map(_settled, complete)
        rest = _settled(rest) + ("\r" if rest.endswith("\r") else "")
        if len(rest) > MAX_PARTIAL_LINE_CHARS:
            yield rest
        elif rest:
            self._partial[agent, stream] = rest

    def rest(self) -> Iterator[str]:
        """The lines that never ended."""
        yield from self._partial.values()
        self._partial.clear()


def _settled(line: str) -> str:
    """What of `line` stays on a terminal: what comes after the last carriage return inside it."""
    return line.rstrip("\r").rpartition("\r")[2]


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
            self._say(f"[{step[0]} {step[1]:3d}%] {one_line(payload['message'])}")

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


class _ElapsedColumn(ProgressColumn):
    """The time since the bar appeared. rich's own stops when the first phase reaches 100 %."""

    def render(self, task: Task) -> Text:
        return Text(str(timedelta(seconds=int(task.elapsed or 0))), style="progress.elapsed")


class LiveView:
    """A progress bar that stays below the output."""

    def __init__(self, console: Console, task: str) -> None:
        self._console = console
        self._lines = Lines()
        self._bar = Progress(
            _shortened("{task.fields[name]}", "bold", max_width=24),
            _shortened("{task.fields[phase]}", "none", width=8),
            BarColumn(bar_width=None, table_column=Column(ratio=2)),
            TaskProgressColumn(),
            _ElapsedColumn(),
            _shortened("{task.description}", "none", ratio=3),
            console=console,
            expand=True,
        )
        self._row: TaskID = self._bar.add_task("waiting …", total=100, name=one_line(task), phase="")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The bar is on the screen during the block."""
        try:
            self._bar.start()
            yield
        finally:  # also when Ctrl-C comes while it starts: the cursor is hidden by then
            self._bar.stop()

    def progress(self, payload: Mapping[str, Any]) -> None:
        """Move the bar."""
        message = one_line(payload["message"])
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
        self._console.print(in_its_colours(line, style), highlight=False, soft_wrap=True)


def _shortened(content: str, style: str, **column: int) -> TextColumn:
    """A column that ends in an ellipsis where the terminal is too narrow for it."""
    layout = Column(no_wrap=True, overflow="ellipsis", **column)  # type: ignore[arg-type]
    return TextColumn(content, style, markup=False, table_column=layout)


def _ending(payload: Mapping[str, Any]) -> str:
    return f"{one_line(payload['taskId'])} {payload['status']} in {payload['duration'] / 1000:.1f} s"
