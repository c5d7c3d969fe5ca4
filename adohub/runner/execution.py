"""One command from its first event to its last: it is run, told of, and not left before the hub knows."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Sequence

import trio
from attrs import define, field

from adohub.client.nursery import flat_nursery
from adohub.runner import signals
from adohub.runner.process import Child, NotStarted, Output, start
from adohub.runner.progress import MESSAGE_CHARACTERS, Phase, Progress
from adohub.runner.report import Report
from adohub.runner.spool import Publisher, Spool

MENTION_S = 2.0
"""How long the hub is waited for after the command's end before a line says so, in seconds."""


async def run(
    client: Publisher,
    command: Sequence[str],
    *,
    task: str,
    agent: str = "exec",
    phase: Phase = "impl",
    progress_regex: re.Pattern[str] | None = None,
    pty: bool = False,
    echo: bool = True,
) -> int:
    """Runs `command` as the work on `task`; gives its exit status, or 127 no such command, 126 no program.

    Published, in order: `agent.output`, `task.progress` (0 at the start, 100 at a successful end), and last,
    once, `task.completed`. Returns when the hub has them all, however long it is away; while the spool is
    full, the command is paused. `echo` copies its output to ours. Must be called in the main thread: signals
    are received there and passed on. A second signal after the command's end gives up what is not delivered.
    """
    spool = Spool(client, _say)
    first = Progress(phase, 0.0, _readable(shlex.join(command))[:MESSAGE_CHARACTERS])
    report = Report(spool, task=task, agent=agent, start=first, regex=progress_regex)
    execution = _Execution(spool, report, echo)
    with trio.open_signal_receiver(*signals.caught()) as received:
        async with flat_nursery() as nursery:
            nursery.start_soon(spool.send)
            nursery.start_soon(report.release_held)
            nursery.start_soon(execution.obey, received)
            nursery.start_soon(execution.mention_the_wait)
            status = await execution.carry_out(command, pty)
            nursery.cancel_scope.cancel()
    return status


@define(eq=False)
class _Execution:
    """One command while it lasts, and the wait for the hub after it."""

    _spool: Spool
    _report: Report
    _echo: bool
    _child: Child | None = field(default=None, init=False)
    _started: trio.Event = field(factory=trio.Event, init=False)
    _ended: trio.Event = field(factory=trio.Event, init=False)
    _told_to_stop: bool = field(default=False, init=False)
    _status: int = field(default=0, init=False)
    _patience: trio.CancelScope = field(factory=trio.CancelScope, init=False)

    async def carry_out(self, command: Sequence[str], pty: bool) -> int:
        """From the first event to the hub's answer for the last, or until we are told not to wait for it."""
        with self._patience:
            await self._report.begin()
            self._status = await self._perform(command, pty)
            await self._report.end(self._status)
            await self._spool.drain()
        if self._patience.cancelled_caught:
            _say(f"gave up waiting for the hub: {self._spool.undelivered} events were not delivered")
        return self._child.status if self._child else self._status

    async def obey(self, received: AsyncIterator[int]) -> None:
        """Passes signals on while the command runs; after it, the second that asks for an end gets it."""
        await self._started.wait()
        async for signum in received:
            if self._child is not None and not self._ended.is_set():
                self._pass_on(self._child, signum)
            elif signum in signals.STOPPING and self._told_to_stop:
                self._patience.cancel()
            elif signum in signals.STOPPING:
                _say(f"{self._spool.undelivered} events are not delivered yet; once more gives them up")
            self._told_to_stop = self._told_to_stop or signum in signals.STOPPING

    async def mention_the_wait(self) -> None:
        """Says why nothing happens, when the command has ended and the hub is away."""
        await self._ended.wait()
        await trio.sleep(MENTION_S)
        _say(f"waiting for the hub: {self._spool.undelivered} events to deliver (Ctrl-C gives them up)")

    async def _perform(self, command: Sequence[str], pty: bool) -> int:
        try:
            self._child = await start(command, pty=pty)
        except NotStarted as fault:
            self._ended.set()
            _say(_readable(str(fault)))
            await self._report.output("stderr", _readable(f"{fault}\n"))
            return fault.status
        finally:
            self._started.set()
        return await self._child.follow(self._receive, self._ended)

    async def _receive(self, output: Output) -> None:
        if self._echo and output.raw:
            await trio.to_thread.run_sync(_copy, output)
        if output.text:
            await self._report.output(output.stream, output.text)

    def _pass_on(self, child: Child, signum: int) -> None:
        if signum == signals.RESIZED:
            child.resize()
        elif signals.is_for_us_to_pass_on(signum):
            child.pass_on(signum)


def _copy(output: Output) -> None:
    """Writes what the command wrote to our own stream of that name; to nowhere if nobody reads it."""
    stream = sys.stdout if output.stream == "stdout" else sys.stderr
    try:
        stream.buffer.write(output.raw)
        stream.buffer.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _readable(text: str) -> str:
    """`text` as JSON can hold it: an argument need not be UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _say(text: str) -> None:
    sys.stderr.write(f"adohub exec: {text}\n")
    sys.stderr.flush()
