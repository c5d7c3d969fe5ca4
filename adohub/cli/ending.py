"""How commands end: exit codes, and one plain line instead of a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from adohub.client import BadAddress, Unreachable
from adohub.errors import AdohubError, ConfigError

USAGE = 2
"""The command line, the configuration or an address is wrong."""

UNREACHABLE = 69
"""There is no hub at the address (EX_UNAVAILABLE)."""

INTERRUPTED = 130
"""Ctrl-C."""

BROKEN_PIPE = 141
"""Nobody reads our output any more, as after `| head`."""


def run(main: Callable[[], Awaitable[int]]) -> None:
    """Run `main` under Trio and exit with the status that it returns."""
    sys.exit(trio.run(main))


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Turn what is raised on purpose into one line on stderr and a status; bugs keep their traceback."""
    try:
        yield
    except BaseException as error:
        leaf = _leaf(error)
        if isinstance(leaf, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        if isinstance(leaf, BrokenPipeError):
            _close_stdout()
            sys.exit(BROKEN_PIPE)
        if isinstance(leaf, AdohubError):
            _complain(leaf)
            sys.exit(_status(leaf))
        raise


def _leaf(error: BaseException) -> BaseException:
    """The exception that counts in a group: an interrupt before all, else its only leaf, else the group."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_leaf(one) for one in error.exceptions]
    for leaf in leaves:
        if isinstance(leaf, KeyboardInterrupt):
            return leaf
    return leaves[0] if len(leaves) == 1 else error


def _complain(error: AdohubError) -> None:
    if isinstance(error, ConfigError):
        sys.stderr.writelines(f"{problem}\n" for problem in error.problems)
    else:
        sys.stderr.write(f"adohub: {error}\n")


def _status(error: AdohubError) -> int:
    if isinstance(error, ConfigError | BadAddress):
        return USAGE
    return UNREACHABLE if isinstance(error, Unreachable) else 1


def _close_stdout() -> None:
    """Keep Python from complaining about the unflushed rest when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
