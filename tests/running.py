"""A whole hub inside the test, on a port of its own, and a peer that speaks to it frame by frame.

    async with running_hub(Config(server=Server(port=0, max_message_bytes=1000))) as hub:
        async with open_peer(hub.url) as peer:
            assert (await peer.mutate("events.publish", {...}))["id"]

Every hub brings a deadline for all that happens inside it. Installed plugins are left out: what a test hub
does must not depend on what else is in the virtual environment.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import trio
import trio_websocket
from attrs import define, evolve, field, frozen

from adohub import daemon as composition
from adohub.config import Config, Server
from adohub.daemon import Daemon
from adohub.net.gate import Gate
from adohub.plugin.loader import load
from adohub.plugin.registry import Contribution, Registry

DEADLINE_S = 30.0
"""After how many seconds a test with a hub has hung."""

FREE_PORT = Config(server=Server(port=0))


@define
class Hosting:
    """Who reads the sockets of the hubs that are started: `[server] websocket`."""

    websocket: Literal["native", "trio-websocket"] = "native"


hosting = Hosting()


@frozen
class RunningHub:
    """A hub that accepts connections. `url` is its TCP address, `urls` all; `ended` once its port is free."""

    daemon: Daemon
    urls: Sequence[str]
    ended: trio.Event

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port


def built_in(config: Config, *contributions: Contribution) -> Registry:
    """What the built-in plugins and `[channels]` give, and `contributions` beside it."""
    loaded = load(config)
    own = {"[channels]", *(plugin.name for plugin in loaded.plugins if plugin.origin == "built-in")}
    return Registry(
        (*(each for each in loaded.contributions if each.plugin in own), *contributions), loaded.plugins
    )


@asynccontextmanager
async def running_hub(
    config: Config = FREE_PORT, *contributions: Contribution, registry: Registry | None = None
) -> AsyncIterator[RunningHub]:
    """A hub with the built-in plugins and `contributions`, or with `registry`; it ends without a drain."""
    config = evolve(config, server=evolve(config.server, websocket=hosting.websocket))
    daemon = Daemon(config, registry or built_in(config, *contributions))
    ended = trio.Event()

    async def run(*, task_status: trio.TaskStatus[Sequence[str]]) -> None:
        await daemon.run(task_status=task_status)
        ended.set()

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            urls: Sequence[str] = await nursery.start(run)
            yield RunningHub(daemon, urls, ended)
            daemon.stop()
            daemon.stop()


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition()` holds. The deadline is the hub's."""
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await trio.sleep(0.001)


@contextmanager
def gates_made() -> Iterator[list[Gate]]:
    """The gates of the hubs that start meanwhile: their insides, for tests of what must not pile up there."""
    made: list[Gate] = []

    def make(*arguments: Any) -> Gate:
        made.append(Gate(*arguments))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "Gate", make)
        yield made


# ── a peer ───────────────────────────────────────────────────────────────────────────────────────────────


class Refused(Exception):
    """A request was answered with an error. `code` is its name, `shape` the whole of it."""

    def __init__(self, shape: Mapping[str, Any]) -> None:
        self.shape = shape
        self.code: str = shape["data"]["code"]
        self.message: str = shape["message"]
        super().__init__(f"{self.code}: {self.message}")


@define(eq=False)
class Peer:
    """One WebSocket. A message is JSON when it is received, except the bare words PING and PONG.

    It reads only when it is asked to, so a peer that is not asked is one that does not keep up.
    """

    websocket: trio_websocket.WebSocketConnection
    _ids: Iterator[int] = field(factory=lambda: count(1), init=False)
    _passed: list[Any] = field(factory=list, init=False)

    async def tell(self, message: Any) -> None:
        """Send text and bytes as they are, anything else as JSON."""
        as_is = isinstance(message, str | bytes)
        await self.websocket.send_message(message if as_is else json.dumps(message))

    async def hear(self) -> Any:
        """The next message."""
        if self._passed:
            return self._passed.pop(0)
        return _understood(await self.websocket.get_message())

    async def hear_all(self, number: int) -> list[Any]:
        """The next `number` messages."""
        return [await self.hear() for _ in range(number)]

    async def heard_before_pong(self) -> list[Any]:
        """Send PING, and return all that the hub said before its PONG."""
        await self.tell("PING")
        heard = []
        while (message := await self.hear()) != "PONG":
            heard.append(message)
        return heard

    async def answer_to(self, request_id: Any) -> Any:
        """The first message with this id that has not been heard; others wait for `hear`."""
        passed = []
        while not (isinstance(message := await self.hear(), dict) and message["id"] == request_id):
            passed.append(message)
        self._passed[:0] = passed
        return message

    async def ask(self, message: Mapping[str, Any]) -> Any:
        """Send a request and return the first message with its id."""
        await self.tell(message)
        return await self.answer_to(message["id"])

    async def query(self, path: str, input: Any = None) -> Any:
        """A query's data. Raises Refused."""
        return _data(await self.ask(request(f"q{next(self._ids)}", "query", path, input)))

    async def mutate(self, path: str, input: Any = None) -> Any:
        """A mutation's data. Raises Refused."""
        return _data(await self.ask(request(f"m{next(self._ids)}", "mutation", path, input)))

    async def publish(self, topic: str, payload: Mapping[str, Any]) -> str:
        """The id of the event, once storage holds it. Raises Refused."""
        answer = await self.mutate("events.publish", {"topic": topic, "payload": payload})
        return str(answer["id"])

    async def subscribe(self, id: Any, path: str, input: Any = None, last_event_id: str | None = None) -> Any:
        """Subscribe under `id`, and return what `started` says. Raises Refused."""
        message = request(id, "subscription", path, input)
        if last_event_id is not None:
            message["params"]["lastEventId"] = last_event_id
        answer = await self.ask(message)
        if "error" in answer:
            raise Refused(answer["error"])
        assert answer["result"]["type"] == "started"
        return answer["result"]

    async def heard_before_close(self) -> list[Any]:
        """All that the hub says until it closes."""
        heard = []
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                heard.append(await self.hear())
        return heard

    async def closed(self) -> tuple[int, str]:
        """Read on until the hub closes: the close code and the reason."""
        await self.heard_before_close()
        reason = self.websocket.closed
        assert reason is not None
        return reason.code, reason.reason or ""

    async def is_served(self) -> None:
        """Fails unless the hub still does for this peer what it should."""
        assert (await self.query("hub.health"))["status"] == "ok"


@asynccontextmanager
async def open_peer(
    url: str,
    resource: str = "/",
    headers: Mapping[str, str] | None = None,
    *,
    receive_buffer_bytes: int | None = None,
) -> AsyncIterator[Peer]:
    """A peer at `url` (ws:// or unix://). `receive_buffer_bytes` bounds what the kernel takes in for it."""
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    async with trio.open_nursery() as nursery:
        async with await dial(url, receive_buffer_bytes=receive_buffer_bytes) as stream:
            websocket = await trio_websocket.wrap_client_stream(
                nursery, stream, "hub", resource, extra_headers=pairs, max_message_size=2**30
            )
            yield Peer(websocket)
            with trio.move_on_after(1):
                await websocket.aclose()
        nursery.cancel_scope.cancel()


async def dial(url: str, *, receive_buffer_bytes: int | None = None) -> trio.SocketStream:
    """A bare connection to `url`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return await trio.open_unix_socket(parts.path)
    connecting = trio.socket.socket()
    if receive_buffer_bytes is not None:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    await connecting.connect((parts.hostname, parts.port))
    return trio.SocketStream(connecting)


def request(id: Any, kind: str, path: str, input: Any = None) -> dict[str, Any]:
    """A request as @trpc/client writes it; None is no input."""
    params = {"path": path} if input is None else {"path": path, "input": input}
    return {"id": id, "method": kind, "params": params}


def progress(task: str, percent: float, message: str = "") -> dict[str, Any]:
    """A `task.progress` payload without its timestamp."""
    return {"taskId": task, "phase": "impl", "progress": percent, "message": message}


def completed(task: str) -> dict[str, Any]:
    """A `task.completed` payload."""
    return {"taskId": task, "status": "completed", "duration": 1, "artifacts": []}


def _understood(message: str | bytes) -> Any:
    return message if message in ("PING", "PONG") else json.loads(message)


def _data(answer: Mapping[str, Any]) -> Any:
    if "error" in answer:
        raise Refused(answer["error"])
    return answer["result"].get("data")
