"""adohub as its users run it: real processes on pipes or on a terminal, each ended by its own id.

    async with serving(tmp_path) as hub:
        ended = await adohub("status", "--url", hub.url)
        async with running("watch", "t", "--url", hub.url, terminal=(24, 80)) as watch:
            await watch.until("waiting")

Everything brings a deadline. Processes see none of the ADOHUB… variables that the tests were started with.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field, frozen

from adohub.client import connect
from adohub.client.nursery import flat_nursery

DEADLINE_S = 60.0
"""After how many seconds a test has hung."""

PROGRAM = (sys.executable, "-m", "adohub")
NOWHERE = Path("/")
"""A folder without an adohub.toml."""

_ON_TERMINAL = Path(__file__).with_name("on_terminal.py")
_READY = re.compile(r"^adohub \S+ is ready at (\S+)(?: and (\S+))?\r?\n", re.MULTILINE)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what would change how adohub behaves, and with `extra`."""
    meddling = (
        "ADOHUB",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
        "LINES",
        "TTY_",
        "JOURNAL_STREAM",
        "NOTIFY_",
        "WATCHDOG_",
        "LISTEN_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(meddling)}
    return {**kept, "TERM": "xterm-256color", **(extra or {})}


@frozen
class Ended:
    """What a process left: its exit status (negative for a signal) and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@define(eq=False)
class Running:
    """A process under way. On a terminal, `out` has all that it shows, and `err` nothing."""

    process: trio.Process
    _terminal: trio.lowlevel.FdStream | None = None
    _its_end: int | None = None
    """The other end of its terminal, kept open so that it can be read before the process opens it."""
    _out: bytearray = field(factory=bytearray, init=False)
    _err: bytearray = field(factory=bytearray, init=False)
    _open_ends: int = field(default=0, init=False)
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)

    @property
    def out(self) -> str:
        return self._out.decode(errors="replace")

    @property
    def err(self) -> str:
        return self._err.decode(errors="replace")

    async def until(self, text: str) -> None:
        """Return once `text` was written, to wherever."""
        await self.until_match(re.compile(re.escape(text)))

    async def until_match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Return what was written, to wherever, once it matches."""
        while (found := pattern.search(self.out) or pattern.search(self.err)) is None:
            assert self._open_ends, f"it ended without {pattern.pattern!r}:\n{self.out}\n{self.err}"
            await self._news.park()
        return found

    async def type(self, text: str) -> None:
        """Write to its stdin, or type at its terminal."""
        stdin = self._terminal or self.process.stdin
        assert stdin is not None
        await stdin.send_all(text.encode())

    async def close_stdin(self) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.aclose()

    async def stop_reading(self) -> None:
        """Close our end of its stdout, as `head` does when it has seen enough."""
        assert self.process.stdout is not None
        await self.process.stdout.aclose()

    async def ended(self) -> Ended:
        """Wait for its end, and for the end of what it wrote."""
        status = await self.process.wait()
        self.leave_terminal()
        while self._open_ends:
            await self._news.park()
        return Ended(status, self.out, self.err)

    def leave_terminal(self) -> None:
        """Let the end of the terminal be seen."""
        if self._its_end is not None:
            os.close(self._its_end)
            self._its_end = None

    def collect_all(self, nursery: trio.Nursery) -> None:
        """Begin to take in what it writes."""
        for stream, into in (
            (self._terminal or self.process.stdout, self._out),
            (self.process.stderr, self._err),
        ):
            if stream is not None:
                self._open_ends += 1
                nursery.start_soon(self._collect, stream, into)

    async def _collect(self, stream: trio.abc.ReceiveStream, into: bytearray) -> None:
        try:
            while chunk := await stream.receive_some(65536):
                into += chunk
                self._news.unpark_all()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # how a terminal says that it was left; or we stopped reading
        finally:
            self._open_ends -= 1
            self._news.unpark_all()


async def adohub(
    *arguments: str, stdin: bytes = b"", cwd: Path = NOWHERE, env: Mapping[str, str] | None = None
) -> Ended:
    """Run a command to its end."""
    with trio.fail_after(DEADLINE_S):
        done = await trio.run_process(
            [*PROGRAM, *arguments],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=cwd,
            env=environment(env),
        )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@asynccontextmanager
async def running(
    *arguments: str,
    terminal: tuple[int, int] | None = None,
    cwd: Path = NOWHERE,
    env: Mapping[str, str] | None = None,
    program: tuple[str, ...] = PROGRAM,
    deadline_s: float = DEADLINE_S,
    inheriting: Sequence[int] = (),
) -> AsyncIterator[Running]:
    """A command that runs during the block, and not after it.

    `terminal`: its lines and columns. `inheriting`: descriptors that it gets besides.
    """
    with trio.fail_after(deadline_s):
        async with flat_nursery() as nursery:
            started = await _started([*program, *arguments], terminal, cwd, environment(env), inheriting)
            try:
                started.collect_all(nursery)
                yield started
            finally:
                started.process.kill()
                with trio.CancelScope(shield=True):
                    await started.process.wait()
                started.leave_terminal()
            nursery.cancel_scope.cancel()


async def _started(
    command: list[str],
    terminal: tuple[int, int] | None,
    cwd: Path,
    env: dict[str, str],
    inheriting: Sequence[int],
) -> Running:
    if terminal is None:
        pipe = subprocess.PIPE
        process = await trio.lowlevel.open_process(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=env, pass_fds=inheriting
        )
        return Running(process)
    ours, its = os.openpty()
    termios.tcsetwinsize(ours, terminal)
    shim = [sys.executable, str(_ON_TERMINAL), os.ttyname(its), *command]
    process = await trio.lowlevel.open_process(shim, cwd=cwd, env=env, start_new_session=True)
    return Running(process, trio.lowlevel.FdStream(ours), its)


# ── hubs ─────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Hub:
    """`adohub serve` under way."""

    run: Running
    url: str
    unix_url: str | None

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it has logged, but for a line that it is about to end."""
        lines, _, _ = self.run.err.rpartition("\n")
        return [json.loads(line) for line in lines.splitlines()]

    async def stop(self) -> Ended:
        """SIGTERM, as an operator."""
        self.run.process.terminate()
        return await self.run.ended()

    async def kill(self) -> None:
        """SIGKILL, as a crash."""
        self.run.process.kill()
        await self.run.process.wait()


def sqlite_at(database: Path, **storage: int) -> str:
    """The configuration of a hub whose events are in `database`, with more keys of `[storage]`."""
    keys = "".join(f"{key} = {value}\n" for key, value in storage.items())
    return f'[storage]\nengine = "sqlite"\n{keys}[storage.sqlite]\npath = "{database}"\n'


@asynccontextmanager
async def serving(
    folder: Path,
    toml: str = "",
    *,
    port: str = "0",
    env: Mapping[str, str] | None = None,
    program: tuple[str, ...] = PROGRAM,
    deadline_s: float = DEADLINE_S,
) -> AsyncIterator[Hub]:
    """A hub of its own, with `toml` as its configuration, on a free port unless told which."""
    config = folder / "hub.toml"
    config.write_text(toml)
    arguments = ("serve", "--config", str(config), "--port", port)
    async with running(*arguments, cwd=folder, env=env, program=program, deadline_s=deadline_s) as hub:
        yield await ready(hub)


async def ready(hub: Running) -> Hub:
    """Read its ready line."""
    found = await hub.until_match(_READY)
    return Hub(hub, found[1], found[2])


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────


def progress(task: str, percent: float, message: str = "working", phase: str = "impl") -> dict[str, Any]:
    return {"taskId": task, "phase": phase, "progress": percent, "message": message}


def output(task: str, content: str, stream: str = "stdout") -> dict[str, Any]:
    return {"taskId": task, "agentId": "a", "type": stream, "content": content}


def completed(task: str, status: str = "completed") -> dict[str, Any]:
    return {"taskId": task, "status": status, "duration": 1500, "artifacts": []}


async def publish(url: str, *events: tuple[str, dict[str, Any]]) -> list[str]:
    """Publish (topic, payload) pairs, and give their ids."""
    with trio.fail_after(DEADLINE_S):
        async with connect(url) as client:
            return await client.publish_many(
                [{"topic": topic, "payload": payload} for topic, payload in events]
            )


async def history(url: str, *topics: str, key: str | None = None) -> list[dict[str, Any]]:
    """All events that the hub keeps of these topics."""
    found: list[dict[str, Any]] = []
    with trio.fail_after(DEADLINE_S):
        async with connect(url) as client:
            after = None
            while True:
                wanted = {"topics": topics, "key": key, "after": after, "limit": 1000}
                page = await client.query("events.history", wanted)
                found += page["events"]
                if (after := page["next"]) is None:
                    return found


async def kept(url: str, number: int, *topics: str, key: str | None = None) -> list[dict[str, Any]]:
    """The first `number` events of these topics and this key, once there are so many."""
    found: list[dict[str, Any]] = []
    wanted = {"topics": topics, "key": key, "replay": "all"}
    with trio.fail_after(DEADLINE_S):
        async with connect(url) as client, client.subscribe("stream.onEvent", wanted) as deliveries:
            async for delivery in deliveries:
                found.append(delivery.data)
                if len(found) == number:
                    break
    return found
