"""What a line of output says of the progress of its command. Pure: text in, changes out.

A line may begin with its phase, `[test]` or `test:`, and tells its progress as `12/80` or `37%`, whichever
stands first; or as the user's own pattern reads it. Dates, versions and paths also have slashes, so a count
stands alone between other characters than those, and its numbers must make sense.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, cast, get_args

from attrs import frozen

Phase = Literal["spec", "impl", "test", "validate"]

LINE_CHARACTERS = 4096
"""How much of a line is read; what a longer line goes on to say is not looked at."""

MESSAGE_CHARACTERS = 200
"""The longest message of a progress event."""

PHASES: tuple[Phase, ...] = get_args(Phase)

_WORDS = "|".join(PHASES)
_PHASE = re.compile(rf"\s*(?:\[({_WORDS})\]|({_WORDS}):(?!\S))\s*", re.IGNORECASE)
_COUNT = re.compile(
    r"(?<![\w.,/-])(?P<percent>\d{1,3}(?:\.\d{1,9})?) ?%(?!\w)"
    r"|(?<![\w./\\:-])(?<!/ )(?P<done>\d{1,9}) ?/ ?(?P<total>\d{1,9})(?![\w%\\-]| ?/|\.\w)"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_LINE_ENDS = re.compile(r"[\r\n]")
_GROUPS = frozenset({"percent", "done", "total", "phase", "message"})


@frozen
class Progress:
    """How far a command is: `percent` of `phase`, 0 to 100, and a line about it."""

    phase: Phase
    percent: float
    message: str


def compile_regex(text: str) -> re.Pattern[str]:
    """A user's `--progress-regex`: groups percent, done and total, phase, message; or one or two unnamed.

    One unnamed group is the percentage, two are done and total. Raises ValueError in words for the user.
    """
    try:
        pattern = re.compile(text)
    except re.error as fault:
        raise ValueError(f"not a regular expression: {fault}") from None
    names = set(pattern.groupindex)
    if unknown := names - _GROUPS:
        raise ValueError(f"unknown group {min(unknown)!r}, use {', '.join(sorted(_GROUPS))}")
    if ("done" in names) != ("total" in names):
        raise ValueError("the groups done and total go together")
    if not names and pattern.groups not in (1, 2):
        raise ValueError("needs a group for the percentage, or two for done and total")
    return pattern


class Lines:
    """Cuts the text of one stream into lines; a carriage return ends one too, as progress bars use it."""

    def __init__(self) -> None:
        self._begun = ""

    def feed(self, text: str) -> Iterator[str]:
        """The lines that `text` completes, each at most LINE_CHARACTERS of it. Empty ones are left out."""
        *complete, begun = _LINE_ENDS.split(text)
        for line in complete:
            yield from self._end(line)
        self._begun += begun[: LINE_CHARACTERS - len(self._begun)]

    def rest(self) -> Iterator[str]:
        """The last line, if the stream ended within it."""
        yield from self._end("")

    def _end(self, line: str) -> Iterator[str]:
        whole, self._begun = (self._begun + line)[:LINE_CHARACTERS], ""
        if whole.strip():
            yield whole


class Meter:
    """Reads lines, and knows the progress they add up to."""

    def __init__(self, start: Progress, pattern: re.Pattern[str] | None = None) -> None:
        self._now = start
        self._pattern = pattern

    def read(self, line: str) -> Progress | None:
        """The progress after `line`, or None if it changes nothing. A new phase begins at 0."""
        text = _ESCAPES.sub("", line).strip()
        phase, rest = self._phase(text)
        begun = self._now if phase == self._now.phase else Progress(phase, 0.0, _message(rest))
        counted = self._count(begun, rest) if self._pattern is None else self._match(begun, text)
        if counted == self._now:
            return None
        self._now = counted
        return counted

    def _phase(self, text: str) -> tuple[Phase, str]:
        mark = _PHASE.match(text)
        if mark is None:
            return self._now.phase, text
        return _known_phase(mark[1] or mark[2]) or self._now.phase, text[mark.end() :]

    def _count(self, before: Progress, text: str) -> Progress:
        for found in _COUNT.finditer(text):
            percent = _percent(found["percent"], found["done"], found["total"])
            if percent is not None:
                return Progress(before.phase, percent, _message(_without(text, found)))
        return before

    def _match(self, before: Progress, text: str) -> Progress:
        found = self._pattern.search(text) if self._pattern else None
        if found is None:
            return before
        said = _named(found)
        phase = _known_phase(said.get("phase") or "") or before.phase
        percent = _percent(said.get("percent"), said.get("done"), said.get("total"))
        if percent is None:
            percent = before.percent if phase == before.phase else 0.0
        return Progress(phase, percent, _message(said.get("message") or text))


def _named(found: re.Match[str]) -> dict[str, str | None]:
    """The groups by name: one unnamed group is the percentage, two are done and total."""
    if found.re.groupindex:
        return found.groupdict()
    names = ("percent",) if found.re.groups == 1 else ("done", "total")
    return dict(zip(names, found.groups(), strict=True))


def _percent(percent: str | None, done: str | None, total: str | None) -> float | None:
    """0 to 100, or None where the numbers are missing or make no sense."""
    try:
        if percent is not None:
            value = float(percent)
        elif done is not None and total is not None:
            value = 100 * float(done) / float(total)
        else:
            return None
    except (ValueError, ZeroDivisionError):
        return None
    return round(value, 2) if 0 <= value <= 100 else None


def _known_phase(word: str) -> Phase | None:
    return cast("Phase", word.lower()) if word.lower() in PHASES else None


def _without(text: str, count: re.Match[str]) -> str:
    """`text` without a count that leads it, brackets included; all of it if nothing else is there."""
    before, after = text[: count.start()], text[count.end() :]
    if before.strip(" [(|"):
        return text
    return after.lstrip(" ])|:,-") or text


def _message(text: str) -> str:
    return text.strip()[:MESSAGE_CHARACTERS]
