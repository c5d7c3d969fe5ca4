"""Servers and load generators as processes: started pinned, watched, and ended by their own id."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from tempfile import TemporaryDirectory
from typing import Any

import trio
from attrs import define, evolve, frozen

from tests.bench.errors import BenchError
from tests.bench.machine import Cores, processor_seconds
from tests.bench.peers import Peer, Wishes
from tests.bench.workshop import Workshop

START_S = 20.0
"""How long a server may take to accept connections."""

END_S = 3.0
"""How long it may take to end when asked to."""

LOOK_S = 0.01
"""How often to look whether it does."""

LAST_LINES = 5
"""How much of what it said a message about its failure repeats."""

CONNECT_S = 60.0
"""How long the load generator may take beside its phases."""

_ADDRESS = re.compile(r"ws://127\.0\.0\.1:(\d+)")
_REPOSITORY = Path(__file__).parents[2]


@asynccontextmanager
async def _running(
    command: Sequence[str | Path], core: int, environment: Mapping[str, str], **streams: Any
) -> AsyncIterator[trio.Process]:
    """A process on one core and in no terminal, ended at the end of the context."""
    process = await trio.lowlevel.open_process(
        ["taskset", "--cpu-list", str(core), *command],
        env=environment,
        cwd=_REPOSITORY,
        start_new_session=True,
        **streams,
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


async def _end(process: trio.Process) -> None:
    if process.poll() is None:
        process.terminate()
        with trio.move_on_after(END_S):
            await process.wait()
    if process.poll() is None:
        process.kill()
        await process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()


@define(eq=False)
class _Lines:
    """A stream of text, line by line."""

    _stream: trio.abc.ReceiveStream
    _rest: bytes = b""

    async def next(self) -> str | None:
        """The next line; None at the end."""
        while b"\n" not in self._rest:
            chunk = await self._stream.receive_some()
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")


async def output_of(command: Sequence[str | Path], core: int) -> str:
    """What a program writes until its end. Raises BenchError if it fails."""
    async with _running(command, core, os.environ, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT) as process:
        assert process.stdout is not None
        written = b"".join([chunk async for chunk in process.stdout]).decode(errors="replace")
        if await process.wait():
            raise BenchError(f"{command[1]} failed: {written}")
    return written


# ── servers ──────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Server:
    """A peer that accepts connections on 127.0.0.1:`port`, and the file that holds what it says."""

    peer: Peer
    pid: int
    port: int
    output: Path

    def last_words(self) -> str:
        """The end of what it said, in one line."""
        return _last_words(self.output)


@asynccontextmanager
async def serving(peer: Peer, workshop: Workshop, wishes: Wishes, core: int) -> AsyncIterator[Server]:
    """A fresh server. Raises BenchError if it does not start."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADOHUB")}
    environment = {**inherited, **peer.environment}
    with TemporaryDirectory(dir=workshop.folder, prefix=f"{peer.name}-") as name:
        folder = Path(name)
        output = folder / "output"
        command = peer.command(evolve(workshop, folder=folder), wishes)
        with output.open("w") as writing:
            streams = {"stdin": DEVNULL, "stdout": writing, "stderr": STDOUT}
            async with _running(command, core, environment, **streams) as process:
                port = await _port_of(process, output)
                if port is None:
                    raise BenchError(f"{peer.name} did not start: {_last_words(output) or 'it said nothing'}")
                yield Server(peer, process.pid, port, output)


async def _port_of(process: trio.Process, output: Path) -> int | None:
    """The port that a server tells, as soon as it does; None if it does not."""
    with trio.move_on_after(START_S):
        while process.poll() is None:
            if found := _ADDRESS.search(_said(output)):
                return int(found[1])
            await trio.sleep(LOOK_S)
    return None


def _said(output: Path) -> str:
    return output.read_text(errors="replace")


def _last_words(output: Path) -> str:
    return " | ".join(_said(output).splitlines()[-LAST_LINES:])


# ── load ─────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Step:
    """What the load generator tells at the end of a step, and what the server has cost by then.

    Counts and processor times are sums since the start; `seconds` and the latencies of deliveries and of
    answers to a publish (in milliseconds) are the step's own.
    """

    name: str
    seconds: float
    sent: int
    acknowledged: int
    delivered: int
    p50: float
    p99: float
    answer_p99: float
    load_seconds: float
    server_seconds: float


@frozen
class Ledgers:
    """What has not come as it should, summed over all subscribers.

    `lost`: what is missing although the server still had it. `late`: what had not come when waiting ended.
    """

    missing: int
    repeated: int
    gaps: int
    lost: int
    late: int


@define(eq=False)
class Load:
    """A load generator at work. Step by step it tells how far it is."""

    _server: Server
    _process: trio.Process
    _told: _Lines

    async def step(self, name: str) -> Step:
        """The end of the step `name`, which must be the next. Raises BenchError if the load broke off."""
        told = await self._next(name)
        return Step(
            name=name,
            seconds=told["seconds"],
            sent=told["sent"],
            acknowledged=told["acknowledged"],
            delivered=told["delivered"],
            p50=told["p50"],
            p99=told["p99"],
            answer_p99=told["answer_p99"],
            load_seconds=told["processor"],
            server_seconds=processor_seconds(self._server.pid),
        )

    async def ledgers(self) -> Ledgers:
        """What the subscribers' ledgers say, at the very end."""
        told = await self._next("ledgers")
        del told["step"]
        return Ledgers(**told)

    async def _next(self, name: str) -> dict[str, Any]:
        line = await self._told.next()
        if line is None:
            raise BenchError(await self._why_it_ended())
        told: dict[str, Any] = json.loads(line)
        if told["step"] != name:
            raise BenchError(f"the load generator told of {told['step']} instead of {name}")
        return told

    async def _why_it_ended(self) -> str:
        assert self._process.stderr is not None
        words = await _Lines(self._process.stderr).next()
        status = await self._process.wait()
        load = words or f"the load generator ended with status {status}"
        return f"{load} (the server said: {self._server.last_words() or 'nothing'})"


@asynccontextmanager
async def loading(
    server: Server,
    workshop: Workshop,
    cores: Cores,
    *,
    phases: Mapping[str, float] | None = None,
    drain_s: float = 10.0,
    gives_way: bool = False,
    **options: float | str,
) -> AsyncIterator[Load]:
    """A load generator that speaks the server's dialect. `options` are its own (load/options.h).

    `phases`: seconds by name. `gives_way`: it runs only when no other one wants to. It ends when the context
    does, and by itself when it takes too long.
    """
    phases = phases or {}
    limit = sum(phases.values()) + drain_s + CONNECT_S
    wanted = {"dialect": server.peer.dialect, "port": server.port, "drain": drain_s, "limit": int(limit)}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in {**wanted, **options}.items()]
    if phases:
        words.append(f"--phases={','.join(f'{name}={seconds}' for name, seconds in phases.items())}")
    priority = ["chrt", "--idle", "0"] if gives_way else []
    async with _running(
        [*priority, workshop.load, *words], cores.load, os.environ, stdin=PIPE, stdout=PIPE, stderr=PIPE
    ) as process:
        assert process.stdout is not None
        yield Load(server, process, _Lines(process.stdout))
