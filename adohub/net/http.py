"""Plain HTTP requests: plugins' routes and refusals. One request a connection, then it is closed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import h11

from adohub.net.head import Head, HeadRefused
from adohub.net.outbox import Outbox
from adohub.plugin.contracts import Hub, Route, RouteRequest, RouteResponse

MAX_BODY_BYTES = 1024 * 1024
"""The longest request body that a route is given, in bytes; a longer one gets 413."""


class Pages:
    """Answers requests that ask for no WebSocket. `on_crash` logs an exception and gives its incident id."""

    def __init__(
        self, routes: Mapping[tuple[str, str], Route], hub: Hub, on_crash: Callable[[Exception, str], str]
    ) -> None:
        self._routes = routes
        self._hub = hub
        self._on_crash = on_crash

    async def answer(self, outbox: Outbox, head: Head) -> None:
        """Answer the one request that begins with `head`."""
        try:
            response = await self._respond(outbox, head)
        except HeadRefused as refusal:
            response = refused(refusal)
        outbox.send(written(response, head_only=head.method == "HEAD"))

    async def _respond(self, outbox: Outbox, head: Head) -> RouteResponse:
        route = self._route(head)
        request = RouteRequest(
            head.method, head.path, head.query, head.headers, await read_body(outbox, head), self._hub
        )
        try:
            return await route.answer(request)
        except Exception as error:  # noqa: BLE001 - a route is a stranger's code
            incident = self._on_crash(error, f"{head.method} {head.path}")
            return refused(HeadRefused(500, f"internal fault; incident {incident}"))

    def _route(self, head: Head) -> Route:
        method = "GET" if head.method == "HEAD" else head.method
        route = self._routes.get((method, head.path))
        if route is not None:
            return route
        allowed = sorted(method for method, path in self._routes if path == head.path)
        if allowed:
            raise HeadRefused(405, f"{head.path} takes {', '.join(allowed)}", {"allow": ", ".join(allowed)})
        raise HeadRefused(404, f"there is nothing at {head.path}")


async def read_body(outbox: Outbox, head: Head) -> bytes:
    """The request's body. Raises HeadRefused when it is too long or malformed."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head.raw)
    body = bytearray()
    read: Callable[[], Awaitable[bytes]] = outbox.receive_some
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            raise HeadRefused(error.error_status_hint, "the request's body cannot be read") from error
        if event is h11.NEED_DATA:
            parser.receive_data(await read())
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise HeadRefused(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
        elif not isinstance(event, h11.Request):
            return bytes(body)


def refused(refusal: HeadRefused) -> RouteResponse:
    """A refusal as a response: one JSON object with the reason."""
    body = json.dumps({"error": {"message": refusal.message}}).encode()
    return RouteResponse(refusal.status, body, "application/json", refusal.headers)


def written(response: RouteResponse, *, head_only: bool = False) -> bytes:
    """`response` as the bytes of the last response of a connection."""
    headers = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        "connection": "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode("latin-1", "replace")
    return head + b"\r\n\r\n" + (b"" if head_only else response.body)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
