"""Text from anywhere, made safe to show: a terminal obeys control sequences, and these are not ours."""

from __future__ import annotations

import re

from rich.text import Text

_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: cursor, colours, modes
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS and their like: titles, clipboard, links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # all other controls but tab and newline
)
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,40}m")


def harmless(text: str) -> str:
    """`text` without control sequences; tabs and newlines stay."""
    return _CONTROLS.sub("", text)


def one_line(text: str) -> str:
    """`text` without control sequences, and with spaces for newlines."""
    return harmless(text).replace("\n", " ")


def in_its_colours(line: str, style: str) -> Text:
    """`line` for rich, in `style` where it has no colours of its own; all other sequences are left out."""
    return Text.from_ansi(_CONTROLS.sub(_colour, line), style=style)


def _colour(sequence: re.Match[str]) -> str:
    return sequence[0] if _COLOUR.fullmatch(sequence[0]) else ""
