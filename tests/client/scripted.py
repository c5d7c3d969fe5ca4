"""A hub of a few lines for the client's tests: each connection is played by a script, in order of arrival."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any

import orjson
import trio
import trio_websocket
from attrs import define, field
from trio_websocket import WebSocketConnection, WebSocketRequest

import adohub.client


@define(eq=False)
class Peer:
    """The hub's end of one connection."""

    socket: WebSocketConnection
    headers: dict[str, str]
    path: str

    async def read(self) -> Any:
        """The next frame of the client: JSON, or the text itself."""
        frame = await self.socket.get_message()
        return orjson.loads(frame) if frame[:1] in ("{", "[") else frame

    async def say(self, message: object) -> None:
        await self.socket.send_message(
            message if isinstance(message, str) else orjson.dumps(message).decode()
        )

    async def answer(self, request: dict[str, Any], value: object) -> None:
        await self.say({"id": request["id"], "result": {"type": "data", "data": value}})

    async def start(self, request: dict[str, Any]) -> None:
        await self.say({"id": request["id"], "result": {"type": "started"}})

    async def event(self, request: dict[str, Any], event_id: str, payload: object) -> None:
        await self.say({"id": request["id"], "result": {"type": "data", "id": event_id, "data": payload}})

    async def stop(self, request: dict[str, Any]) -> None:
        await self.say({"id": request["id"], "result": {"type": "stopped"}})

    async def fail(self, request: dict[str, Any], code: str, message: str) -> None:
        error = {"message": message, "code": -32000, "data": {"code": code, "httpStatus": 400, "path": "x"}}
        await self.say({"id": request["id"], "error": error})

    async def close(self, code: int = 1012) -> None:
        with trio.move_on_after(1):
            await self.socket.aclose(code)

    async def until_closed(self) -> None:
        """Ends with the connection, whatever else is said on it."""
        try:
            while True:
                await self.socket.get_message()
        except trio_websocket.ConnectionClosed:
            return


Script = Callable[[Peer], Awaitable[None]]


@define(eq=False)
class Reject:
    """A script that refuses the upgrade."""

    status: int
    body: bytes = b""


@define(eq=False)
class ScriptedHub:
    """Plays the scripts one after another; later connections get the last one."""

    scripts: list[Script | Reject]
    url: str = ""
    connections: int = 0
    failures: list[BaseException] = field(factory=list)

    async def play(self, request: WebSocketRequest) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        if isinstance(script, Reject):
            length = [(b"Content-Length", str(len(script.body)).encode())]
            await request.reject(script.status, extra_headers=length, body=script.body)
            return
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        peer = Peer(await request.accept(), headers, request.path)
        try:
            await script(peer)
        except trio_websocket.ConnectionClosed:
            return
        finally:
            await peer.close()


@asynccontextmanager
async def scripted_hub(*scripts: Script | Reject) -> AsyncIterator[ScriptedHub]:
    """A hub on a free loopback port, within the absolute deadline of these tests."""
    hub = ScriptedHub(list(scripts))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(trio_websocket.serve_websocket, hub.play, "127.0.0.1", 0, None)
            hub.url = f"ws://127.0.0.1:{server.port}"
            yield hub
            nursery.cancel_scope.cancel()


def connect(url: str, **options: Any) -> Any:
    """A client that reconnects without waiting."""
    return adohub.client.connect(url, backoff=lambda: repeat(0.0), **options)


async def serve_health(peer: Peer) -> None:
    """Answer whatever is asked as `hub.health` is."""
    while True:
        await peer.answer(await peer.read(), {"status": "ok"})
