"""tRPC over HTTP from the other side: one request after another, or one event stream to listen to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import trio
from attrs import define, field

from tests.net import raw
from tests.running import progress
from tests.wire.event_source import EventSource

UNDEFINED: Any = object()


def target(path: str, input: Any = UNDEFINED, **query: str) -> str:
    """The URL of a query or subscription."""
    given = {} if input is UNDEFINED else {"input": json.dumps(input)}
    text = urlencode({**query, **given})
    return f"/trpc/{path}" + (f"?{text}" if text else "")


def got(
    path: str, input: Any = UNDEFINED, *, headers: Mapping[str, str] | None = None, **query: str
) -> bytes:
    """A GET request."""
    return raw.head(target(path, input, **query), {"Host": "hub", **(headers or {})})


def posted(
    path: str,
    input: Any = UNDEFINED,
    *,
    headers: Mapping[str, str | None] | None = None,
    method: str = "POST",
    **query: str,
) -> bytes:
    """A POST request with JSON in it."""
    body = b"" if input is UNDEFINED else json.dumps(input).encode()
    sent = {"Host": "hub", "Content-Type": "application/json", "Content-Length": str(len(body))}
    return raw.head(target(path, **query), {**sent, **(headers or {})}, method=method) + body


def told(response: raw.Response) -> Any:
    """The JSON in a response."""
    assert response.headers["content-type"] == "application/json"
    return json.loads(response.body)


def published(task: str, percent: float) -> dict[str, Any]:
    """The input that publishes how far a task is."""
    return {"topic": "task.progress", "payload": progress(task, percent)}


async def answered(port: int, request: bytes) -> raw.Response:
    """What comes back for `request`, on a connection of its own."""
    response = await raw.exchange(port, request)
    assert response is not None
    return response


@define
class Listening:
    """An event stream that is read only when it is asked to."""

    stream: trio.SocketStream
    status: int
    headers: Mapping[str, str]
    source: EventSource
    _seen: int = field(default=0, init=False)

    async def hear(self) -> tuple[str, Any, str]:
        """The next event: its type, its data, and the last event id then."""
        while self._seen == len(self.source.dispatched):
            chunk = await self.stream.receive_some()
            assert chunk, "the stream has ended"
            self.source.read(chunk)
        kind, data, event_id = self.source.dispatched[self._seen]
        self._seen += 1
        return kind, json.loads(data) if data else None, event_id

    async def data(self) -> Any:
        """The data of the next message; pings are passed over."""
        kind, data, _ = await self.hear()
        while kind == "ping":
            kind, data, _ = await self.hear()
        assert kind == "message", (kind, data)
        return data

    async def rest(self) -> list[tuple[str, Any]]:
        """The type and data of all events until the hub ends the stream, pings left out."""
        self.source.read(await raw.read_to_end(self.stream)).end()
        events, self._seen = self.source.dispatched[self._seen :], len(self.source.dispatched)
        return [(kind, json.loads(data) if data else None) for kind, data, _ in events if kind != "ping"]


@asynccontextmanager
async def listening(
    port: int,
    path: str,
    input: Any = UNDEFINED,
    *,
    last_event_id: str = "",
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> AsyncIterator[Listening]:
    """A subscription as an EventSource asks for it, after the response's head."""
    sent = {"Accept": "text/event-stream", "Cache-Control": "no-cache", **(headers or {})}
    if last_event_id:
        sent["Last-Event-ID"] = last_event_id
    async with await raw.connected(port) as stream:
        await stream.send_all(got(path, input, headers=sent, **query))
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some()
        first, _, rest = received.partition(b"\r\n\r\n")
        response = raw.response(first + b"\r\n\r\n")
        assert response is not None
        source = EventSource(last_event_id).read(rest)
        yield Listening(stream, response.status, response.headers, source)
