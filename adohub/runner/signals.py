"""Which signals exec takes for its command, and which of them the command has had already.

The command stays in exec's process group. In a group of its own it could not read a terminal, and Ctrl-Z and
the shell's `fg` would reach only one of the two. The price: when Ctrl-C is typed, the terminal itself
signals the whole foreground group, the command included, and passing that on would signal it twice. So
SIGINT and SIGQUIT are not passed on while we are in the foreground of a terminal. (A `kill -INT` aimed at a
foreground exec alone looks the same and is lost on the command; SIGTERM always arrives.)
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
"""Signals that ask for an end: of the command, or, when it has ended, of waiting for the hub."""

RESIZED = signal.SIGWINCH

_CAUGHT = (*sorted(STOPPING), signal.SIGUSR1, signal.SIGUSR2, RESIZED)

_TYPED = frozenset({signal.SIGINT, signal.SIGQUIT})
_TERMINAL = Path("/dev/tty")


def caught() -> list[signal.Signals]:
    """All that is received for the command; not SIGHUP under `nohup`, which the command then ignores too."""
    hangup_is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signum for signum in _CAUGHT if not (signum == signal.SIGHUP and hangup_is_ignored)]


def is_for_us_to_pass_on(signum: int) -> bool:
    """False if a terminal has given `signum` to the command as well as to us."""
    return signum not in _TYPED or not in_foreground()


def in_foreground() -> bool:
    """Whether we have a controlling terminal and our process group is the one that gets its Ctrl-C."""
    try:
        terminal = os.open(_TERMINAL, os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
