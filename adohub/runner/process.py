"""The command as a process: started, read to the end of its output, and never left behind.

Output is read as it comes. A full receiver is waited for, so the pipe fills and the command itself is paused.
"""

from __future__ import annotations

import codecs
import fcntl
import math
import os
import signal
import sys
import termios
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Literal

import trio
from attrs import define, field, frozen

from adohub.errors import AdohubError
from adohub.runner.terminal import copy_size, open_terminal

StreamName = Literal["stdout", "stderr"]

READ_BYTES = 64 * 1024
"""How much is read at once; also what a pipe holds."""

EOF_GRACE_S = 1.0
"""How long after the command's end its output may stay open, held by processes it left behind, in seconds."""

KILL_AFTER_S = 5.0
"""How long after SIGTERM a cancelled command is killed, in seconds."""

COMMAND_NOT_FOUND = 127
CANNOT_EXECUTE = 126


class NotStarted(AdohubError):
    """There is no such command, or it cannot be executed. `status` is what a shell would exit with."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@frozen
class Output:
    """One read of one stream: the bytes, and the text that they complete (empty within a character)."""

    stream: StreamName
    raw: bytes
    text: str


Receive = Callable[[Output], Awaitable[None]]


@define(eq=False)
class _Tap:
    """Where one stream is read."""

    name: StreamName
    stream: trio.lowlevel.FdStream
    _deadline: float = field(default=math.inf, init=False)
    _patience: trio.CancelScope | None = field(default=None, init=False)

    async def pour(self, receive: Receive) -> None:
        """Hands over everything up to the end of the stream, or of our patience."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        async with self.stream:
            while raw := await self._next():
                await receive(Output(self.name, raw, decoder.decode(raw)))
            for raw in self._left_over():
                await receive(Output(self.name, raw, decoder.decode(raw)))
        if cut_short := decoder.decode(b"", final=True):
            await receive(Output(self.name, b"", cut_short))

    def hurry(self) -> None:
        """The command has ended: waits no longer than EOF_GRACE_S for others to close the stream."""
        self._deadline = trio.current_time() + EOF_GRACE_S
        if self._patience is not None:
            self._patience.deadline = self._deadline

    async def _next(self) -> bytes:
        """The next bytes; none at the end. Patience is measured here only: the receiver may take its time."""
        with trio.CancelScope(deadline=self._deadline) as self._patience:
            try:
                return bytes(await self.stream.receive_some(READ_BYTES))
            except trio.BrokenResourceError:
                return b""  # EIO: how a terminal says that nobody has its other end any more
        return b""

    def _left_over(self) -> Iterator[bytes]:
        """What was in the pipe when patience ended; the command wrote no more. Nothing after EOF."""
        if self._patience is None or not self._patience.cancelled_caught:
            return
        descriptor = self.stream.fileno()
        waiting = int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
        with suppress(OSError):  # EIO, as above
            while waiting > 0 and (raw := os.read(descriptor, waiting)):
                waiting -= len(raw)
                yield raw


@define(eq=False)
class Child:
    """A command that has been started."""

    _process: trio.Process
    _taps: Sequence[_Tap]
    _pty: bool

    @property
    def status(self) -> int:
        """What the command exited with, or 128 + N if signal N ended it. Only once it has ended."""
        returned = self._process.returncode or 0
        return 128 - returned if returned < 0 else returned

    def pass_on(self, signum: int) -> None:
        """Sends the command a signal; nothing happens if it has ended."""
        self._process.send_signal(signum)

    def resize(self) -> None:
        """Our terminal has another size; a command with a terminal of its own does not know yet."""
        if self._pty:
            copy_size(self._taps[0].stream.fileno())
            self.pass_on(signal.SIGWINCH)

    async def follow(self, receive: Receive, ended: trio.Event) -> int:
        """Hands over all output, and gives the exit status.

        `ended` is set when the command has, which may be before all its output was received. Cancelled, it
        ends the command: SIGTERM, then SIGKILL after KILL_AFTER_S.
        """
        try:
            async with trio.open_nursery() as nursery:
                for tap in self._taps:
                    nursery.start_soon(tap.pour, receive)
                await self._process.wait()
                ended.set()
                for tap in self._taps:
                    tap.hurry()
            return self.status
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            with trio.move_on_after(KILL_AFTER_S, shield=True):
                await self._process.wait()
            self._process.kill()
            with trio.CancelScope(shield=True):
                await self._process.wait()


async def start(command: Sequence[str], *, pty: bool) -> Child:
    """Starts `command` on pipes, or on a terminal (`pty`) read as stdout. Raises NotStarted."""
    try:
        return await _start(command, pty)
    except FileNotFoundError:
        raise NotStarted(COMMAND_NOT_FOUND, f"{command[0]}: command not found") from None
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise NotStarted(CANNOT_EXECUTE, f"{command[0]}: {reason[:1].lower()}{reason[1:]}") from None


async def _start(command: Sequence[str], pty: bool) -> Child:
    with ExitStack() as theirs, ExitStack() as ours:
        names: Sequence[StreamName] = ("stdout",) if pty else ("stdout", "stderr")
        read_ends, write_ends = [], []
        for _ in names:
            read_end, write_end = open_terminal() if pty else os.pipe()
            ours.callback(os.close, read_end)
            theirs.callback(os.close, write_end)
            read_ends.append(read_end)
            write_ends.append(write_end)
        process = await trio.lowlevel.open_process(command, stdout=write_ends[0], stderr=write_ends[-1])
        ours.pop_all()
    streams = map(trio.lowlevel.FdStream, read_ends)
    return Child(process, [_Tap(name, stream) for name, stream in zip(names, streams, strict=True)], pty)
