"""A test moves an unmodified `@trpc/client` from here: `driver.mjs` under Node, one process per puppet.

    async with puppet("v11", f"ws://localhost:{port}", retryDelayMs=10) as client:
        await client.mutate("events.publish", {"topic": ..., "payload": ...})
        sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
        await sub.until(lambda sub: "complete" in sub.events)
        assert sub.data == [...]

A puppet speaks WebSocket unless told otherwise: `puppet("v11", hub.url, "batch+sse")`.
`seed(version, url)` runs the program of `seed.mjs` instead. Nothing here has a deadline: tests bring one.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self, get_args

import trio
from attrs import define, field, frozen

Version = Literal["v10", "v11.18", "v11"]
VERSIONS: tuple[Version, ...] = get_args(Version)
"""For `@pytest.mark.parametrize("version", VERSIONS)`."""

Via = Literal["ws", "http", "batch", "stream", "sse", "http+ws", "batch+ws", "batch+sse", "stream+sse"]
"""Which links carry: one for everything, or one for the calls and one for the subscriptions."""

UNDEFINED: Any = object()
"""The input that is not there; None is JavaScript's null."""

HERE = Path(__file__).parent


@frozen
class Js:
    """What JSON has no word for: in an input `text` is an expression, in a report it is by Node's inspect."""

    text: str


class PuppetError(Exception):
    """The client rejected a call, let an exception escape, or its process ended too early.

    `code` is the tRPC code's name, if the hub gave one; `data` is the error's whole `data`.
    """

    def __init__(self, message: str, *, code: str | None = None, data: Any = None) -> None:
        self.message = message
        self.code = code
        self.data = data
        super().__init__(f"{code}: {message}" if code else message)


@define(eq=False)
class Witness:
    """What a test waits on."""

    _reported: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False, repr=False)
    _ended: bool = field(default=False, init=False)

    async def until(self, predicate: Callable[[Self], object]) -> None:
        """Return once `predicate(self)` is true, looking again after each report.

        PuppetError if the client ends before.
        """
        while not predicate(self):
            if self._ended:
                raise PuppetError(f"the client ended before what was waited for: {self}")
            await self._reported.park()

    def end(self) -> None:
        """Nothing more will be reported."""
        self._ended = True
        self._reported.unpark_all()


@define(eq=False)
class Sub(Witness):
    """One subscription, as its callbacks told it: `log` holds (event, value) in order.

    Events: started, data, error, stopped, complete, and, from v11 on, state (connecting, pending, idle).
    The seed's are data, error, complete, close.
    """

    name: str
    log: list[tuple[str, Any]] = field(factory=list, init=False)

    @property
    def events(self) -> list[str]:
        """What happened, without the values."""
        return [event for event, _ in self.log]

    @property
    def data(self) -> list[Any]:
        """What `onData` was given."""
        return [value for event, value in self.log if event == "data"]

    @property
    def errors(self) -> list[Any]:
        """What `onError` was given: {name, message, code, data} each."""
        return [value for event, value in self.log if event == "error"]

    def report(self, event: str, value: Any) -> None:
        """A callback has spoken."""
        self.log.append((event, value))
        self._reported.unpark_all()


@define(eq=False)
class Puppet(Witness):
    """One client. `reports` holds all that the driver said, in order, each with its number `at`.

    `ws` holds what became of its connections: ("open" | "close" | "error", close code). `uncaught` holds
    exceptions that the client let escape: what is still in it when the puppet is put away fails the test.
    `http` holds the statuses of the answers to calls; `logged` what its `loggerLink` saw: (direction, kind,
    path).
    """

    _stdin: trio.abc.SendStream = field(repr=False)
    reports: list[dict[str, Any]] = field(factory=list, init=False)
    ws: list[tuple[str, int | None]] = field(factory=list, init=False)
    uncaught: list[PuppetError] = field(factory=list, init=False)
    http: list[int] = field(factory=list, init=False)
    logged: list[tuple[str, str, str]] = field(factory=list, init=False)
    _subs: dict[str, Sub] = field(factory=dict, init=False, repr=False)
    _outcomes: dict[int, Any | PuppetError] = field(factory=dict, init=False, repr=False)
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False, repr=False)
    _writing: trio.Lock = field(factory=trio.Lock, init=False, repr=False)

    async def create(self, url: str, via: Via, options: dict[str, Any]) -> None:
        """Make the client; `puppet` does this."""
        await self._tell({"do": "create", "url": url, "via": via, "options": options})

    async def query(self, path: str, input: Any = UNDEFINED) -> Any:
        """The query's answer, or PuppetError."""
        (outcome,) = await self.together(("query", path, input))
        return _value(outcome)

    async def mutate(self, path: str, input: Any = UNDEFINED) -> Any:
        """The mutation's answer, or PuppetError."""
        (outcome,) = await self.together(("mutation", path, input))
        return _value(outcome)

    async def together(self, *calls: tuple[Literal["query", "mutation"], str, Any]) -> list[Any]:
        """Several (kind, path, input) in one tick, thus one batch: each one's answer or its PuppetError."""
        commands = [
            {"do": kind, "call": next(self._numbers), **_request(path, given)} for kind, path, given in calls
        ]
        await self._tell(commands)
        return [await self._outcome(command["call"]) for command in commands]

    async def subscribe(self, path: str, input: Any = UNDEFINED) -> Sub:
        """Subscribe, and return without waiting for `started`."""
        sub = Sub(f"{path} #{next(self._numbers)}")
        self._subs[sub.name] = sub
        await self._tell({"do": "subscribe", "sub": sub.name, **_request(path, input)})
        return sub

    async def unsubscribe(self, sub: Sub) -> None:
        """Unsubscribe; the client then reports complete by itself."""
        await self._tell({"do": "unsubscribe", "sub": sub.name})

    async def close(self) -> None:
        """Close the client's connection, by its own `close()`."""
        call = next(self._numbers)
        await self._tell({"do": "close", "call": call})
        _value(await self._outcome(call))

    async def dismiss(self) -> None:
        """End the client's process; `puppet` does this."""
        await self._stdin.aclose()

    async def listen(self, stdout: trio.abc.ReceiveStream) -> None:
        """Take in reports until the client ends; `puppet` runs this."""
        async for report in _json_lines(stdout):
            self._take(report)
            self._reported.unpark_all()
        for witness in (self, *self._subs.values()):
            witness.end()

    async def _tell(self, commands: object) -> None:
        async with self._writing:
            await self._stdin.send_all(json.dumps(commands, default=_expression).encode() + b"\n")

    async def _outcome(self, call: int) -> Any | PuppetError:
        await self.until(lambda puppet: call in puppet._outcomes)
        return self._outcomes.pop(call)

    def _take(self, report: dict[str, Any]) -> None:
        self.reports.append(report)
        match report:
            case {"call": call, "outcome": "ok"}:
                self._outcomes[call] = report.get("value")
            case {"call": call, "outcome": "error", "value": failure}:
                self._outcomes[call] = _error(failure)
            case {"sub": name, "event": event}:
                self._subs[name].report(event, report.get("value"))
            case {"ws": event}:
                self.ws.append((event, report.get("code")))
            case {"http": status}:
                self.http.append(status)
            case {"logged": [direction, kind, path]}:
                self.logged.append((direction, kind, path))
            case {"uncaught": failure}:
                self.uncaught.append(_error(failure))


@asynccontextmanager
async def puppet(version: Version, url: str, via: Via = "ws", **options: Any) -> AsyncIterator[Puppet]:
    """A client of `version` for the hub at `url`, ws://HOST:PORT whatever carries its calls.

    `options` are those of `createWSClient` in their own spelling: `retryDelayMs` is a number;
    `connectionParams` (over SSE, too) an object, or a list of objects that the client's callback gives in
    turn, staying with the last; `keepAlive` and `lazy` are objects. Besides: `transformer="superjson"`;
    `encoder="msgpack"` for frames in MessagePack; `headers` of HTTP requests; `log=True` for a loggerLink;
    `retries`, how often the retryLink tries again, whatever the error; `tokens` that the URL of a WebSocket
    shows in turn, staying with the last. Leaving the context ends the process, and raises PuppetError if an
    exception had escaped in it.
    """
    async with node("driver.mjs", version) as (stdin, stdout), trio.open_nursery() as nursery:
        client = Puppet(stdin)
        nursery.start_soon(client.listen, stdout)
        await client.create(url, via, options)
        yield client
        await client.dismiss()
    if client.uncaught:
        raise client.uncaught[0]


@asynccontextmanager
async def seed(version: Version, url: str) -> AsyncIterator[Sub]:
    """The program of `seed.mjs`, subscribed to `task-123` at `url` with a client of `version`."""
    async with node("seed.mjs", version, url) as (stdin, stdout), trio.open_nursery() as nursery:
        printed = Sub("seed")
        nursery.start_soon(_read_seed, stdout, printed)
        yield printed
        await stdin.aclose()


async def _read_seed(stdout: trio.abc.ReceiveStream, printed: Sub) -> None:
    async for line in _json_lines(stdout):
        printed.report(line["event"], line.get("value"))
    printed.end()


@asynccontextmanager
async def node(
    script: str, version: Version, *arguments: str
) -> AsyncIterator[tuple[trio.abc.SendStream, trio.abc.ReceiveStream]]:
    """`script` under Node with the packages of `version`: its stdin and stdout. It ends with the context."""
    command = ["node", str(HERE / script), *arguments]
    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(command, stdin=pipe, stdout=pipe, cwd=HERE / version)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with process.stdin, process.stdout:
            yield process.stdin, process.stdout
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _json_lines(stdout: trio.abc.ReceiveStream) -> AsyncIterator[dict[str, Any]]:
    unfinished = b""
    async for chunk in stdout:
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line, object_hook=_shown)


def _expression(value: object) -> dict[str, str]:
    assert isinstance(value, Js), f"{value!r} is neither JSON nor Js"
    return {"$js": value.text}


def _shown(value: dict[str, Any]) -> dict[str, Any] | Js:
    return Js(value["$js"]) if "$js" in value else value


def _request(path: str, input: Any) -> dict[str, Any]:
    return {"path": path} if input is UNDEFINED else {"path": path, "input": input}


def _error(failure: dict[str, Any]) -> PuppetError:
    return PuppetError(failure["message"], code=failure["code"], data=failure["data"])


def _value(outcome: Any | PuppetError) -> Any:
    if isinstance(outcome, PuppetError):
        raise outcome
    return outcome
