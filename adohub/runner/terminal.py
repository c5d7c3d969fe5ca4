"""A pseudo-terminal for a command's output, the size of the terminal that exec itself runs in.

It is not made the command's controlling terminal: its input stays ours, and so does the terminal whose keys
signal it.
"""

from __future__ import annotations

import os
import sys
import termios
from contextlib import suppress

_DEFAULT_SIZE = (24, 80)


def open_terminal() -> tuple[int, int]:
    """Two descriptors: ours to read from, the command's to write to. Raises OSError if none is left."""
    ours, commands = os.openpty()
    copy_size(ours)
    return ours, commands


def copy_size(terminal: int) -> None:
    """Gives `terminal` the lines and columns of our own, while it is open."""
    with suppress(OSError, ValueError, termios.error):
        termios.tcsetwinsize(terminal, _own_size())


def _own_size() -> tuple[int, int]:
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        with suppress(OSError, ValueError, termios.error, AttributeError):
            return termios.tcgetwinsize(stream.fileno())  # type: ignore[union-attr]
    return _DEFAULT_SIZE
