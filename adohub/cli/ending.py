"""How commands end: exit codes, and one plain line instead of a traceback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from adohub.client import BadAddress, Unreachable
from adohub.errors import AdohubError, ConfigError, PluginError

USAGE = 2
"""The command line, what was read from stdin, the configuration or an address is wrong."""

UNREACHABLE = 69
"""There is no hub at the address (EX_UNAVAILABLE)."""

INTERRUPTED = 130
"""Ctrl-C."""

BROKEN_PIPE = 141
"""Nobody reads our output any more, as after `| head`."""


class BadInput(AdohubError):
    """What the user gave the command to work on cannot be used."""


class OutputFailed(AdohubError):
    """What the command prints cannot be written."""


def run(main: Callable[[], Awaitable[int]]) -> None:
    """Run `main` under Trio and exit with the status that it returns.

    Ctrl-C, SIGTERM and SIGHUP cancel it, so that terminals and processes are left as they should be: a
    KeyboardInterrupt might be raised between a cursor's hiding and the code that shows it again.
    """
    with failing_plainly():
        sys.exit(trio.run(_until_told_to_stop, main))


async def _until_told_to_stop(main: Callable[[], Awaitable[int]]) -> int:
    status = 0
    with trio.open_signal_receiver(*_heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)) as received:
        async with trio.open_nursery() as nursery:

            async def obey() -> None:
                nonlocal status
                async for signum in received:
                    status = 128 + signum
                    nursery.cancel_scope.cancel()

            nursery.start_soon(obey)
            status = await main()
            nursery.cancel_scope.cancel()
    return status


def _heeded(*signals: signal.Signals) -> Iterator[signal.Signals]:
    """Those that we were not started to ignore, as `nohup` would have it."""
    return (one for one in signals if signal.getsignal(one) is not signal.SIG_IGN)


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
            _give_up_stdout()
            sys.exit(BROKEN_PIPE)
        if isinstance(leaf, AdohubError):
            if isinstance(leaf, OutputFailed):
                _give_up_stdout()
            complain(leaf)
            sys.exit(_status(leaf))
        raise


def complain(error: AdohubError) -> None:
    """Say on stderr what is wrong, in a line for each thing."""
    if isinstance(error, ConfigError):
        sys.stderr.writelines(f"{problem}\n" for problem in error.problems)
    else:
        sys.stderr.write(f"adohub: {error}\n")


def _leaf(error: BaseException) -> BaseException:
    """The exception that counts in a group: an interrupt before all, else its only leaf, else the group."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_leaf(one) for one in error.exceptions]
    for leaf in leaves:
        if isinstance(leaf, KeyboardInterrupt):
            return leaf
    return leaves[0] if len(leaves) == 1 else error


def _status(error: AdohubError) -> int:
    if isinstance(error, BadInput | ConfigError | PluginError | BadAddress):
        return USAGE
    return UNREACHABLE if isinstance(error, Unreachable) else 1


def _give_up_stdout() -> None:
    """Keep Python from complaining about the unflushed rest when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
