"""What is wrong with a value, where, and in which words; a secret value is never among them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import Any

from attrs import evolve, frozen

from adohub.errors import AdohubError

MOST_SHOWN = 20
"""Faults that `str(StructureError)` spells out: a million mistakes must not make a reply of megabytes."""

MOST_FOUND = 100
"""Faults after which a reader reads no further: nor must they keep it busy. Explaining one takes 30 µs."""


@frozen
class Fault:
    """One thing wrong with a value, at `path`: keys (as the outside names them) and indices from the root."""

    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.message}" if self.path else self.message


class StructureError(AdohubError):
    """A value does not have the shape of its type. Carries every fault found, not only the first.

    From MOST_FOUND on there may be more of them than were looked for.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults[:MOST_SHOWN]]
        if len(self.faults) > MOST_SHOWN:
            least = "at least " if len(self.faults) >= MOST_FOUND else ""
            lines.append(f"and {least}{len(self.faults) - MOST_SHOWN} more")
        super().__init__("; ".join(lines))


def path_text(path: Iterable[str | int]) -> str:
    """`path` as people write it: `server.port`, `events[3].progress`, `channels."deploy.onRelease".key`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]{1,80}", step)
            text += ("." if text else "") + (step if bare else shown(step, 80))
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "port"?)`, or nothing when no `known` word is close to `word`."""
    close = get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str, skipkeys=True)


def shown(value: object, limit: int = 40) -> str:
    """`value` as JSON of at most `limit` characters, then `…`; of a huge one only the start is encoded."""
    text = ""
    with suppress(ValueError):  # a number of thousands of digits, or a list that contains itself
        for chunk in _ENCODER.iterencode(value[: limit + 1] if isinstance(value, str) else value):
            text += chunk
            if len(text) > limit:
                break
    short = text[:limit] + "…" if len(text) > limit or not text else text
    return short.encode(errors="replace").decode()


@frozen
class Flaw:
    """A fault on its way to the root.

    What was `got`, if that is to be told, is put into words only there: another type of a union may fit.
    """

    message: str
    got: tuple[Any, ...] = ()
    path: tuple[str | int, ...] = ()

    def under(self, step: str | int) -> Flaw:
        """The same flaw, seen from one level further out."""
        return evolve(self, path=(step, *self.path))

    def fault(self) -> Fault:
        """The flaw in its final words."""
        told = "".join(f", got {shown(value)}" for value in self.got)
        return Fault(self.path, self.message + told)


class Refusal(ValueError):
    """A reader's verdict on one value: every flaw in it."""

    def __init__(self, *flaws: Flaw) -> None:
        self.flaws = flaws
        super().__init__()


def wanted(what: str, value: object) -> Refusal:
    """The refusal of a `value` that is not `what`."""
    return Refusal(Flaw(f"expected {what}", (value,)))


@contextmanager
def gathering(flaws: list[Flaw], *step: str | int) -> Iterator[None]:
    """Add what the block refuses to `flaws`, as found at `step` if one is given, and go on."""
    try:
        yield
    except (ValueError, TypeError) as error:
        flaws += (flaw.under(*step) if step else flaw for flaw in flaws_of(error))


def flaws_of(error: ValueError | TypeError) -> tuple[Flaw, ...]:
    """What `error` says is wrong; attrs' own validators put their text first, then the facts."""
    if isinstance(error, Refusal):
        return error.flaws
    return (Flaw(str(error.args[0]) if error.args else "not valid"),)
