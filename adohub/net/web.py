"""Which HTTP request is whose: below /trpc it is tRPC's, everything else a plugin's route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPMethod
from typing import Protocol

import trio

from adohub.metrics import Metrics
from adohub.net.cors import Origins, preflight_headers
from adohub.net.exchange import Exchange
from adohub.net.head import Head, HeadRefused
from adohub.plugin.contracts import Hub, Route, RouteRequest

ANSWER_S = 30.0
"""How long a route may take, in seconds; then the peer is told 503."""

ALLOWED = "GET, HEAD, POST, OPTIONS"
"""What may be asked of the hub, as OPTIONS is told."""


_SAFE = ("GET", "HEAD", "OPTIONS")
"""What changes nothing (RFC 9110, section 9.2.1). Pages of other origins may ask, and read no answer."""


class Answers(Protocol):
    """Who answers what is asked below /trpc."""

    async def answer(self, exchange: Exchange) -> None:
        """Answer. What it raises before it has begun, a HeadRefused or anything else, is answered for it."""
        ...


class Web:
    """Answers requests that ask for no WebSocket. `on_crash` logs an exception and gives its incident id.

    `max_body_bytes`: how long the body of a request to a route may be.
    """

    def __init__(
        self,
        routes: Mapping[tuple[str, str], Route],
        hub: Hub,
        trpc: Answers,
        origins: Origins,
        on_crash: Callable[[Exception, str], str],
        metrics: Metrics,
        *,
        max_body_bytes: int,
    ) -> None:
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._routes = routes
        self._methods = {*HTTPMethod, *(method for method, _ in routes)}
        self._hub = hub
        self._trpc = trpc
        self._origins = origins
        self._on_crash = on_crash

    async def answer(self, exchange: Exchange) -> None:
        """Answer this request, whatever happens. Raises trio.BrokenResourceError when the peer is gone."""
        try:
            await self._answer(exchange)
        except trio.BrokenResourceError:
            raise
        except Exception as error:  # noqa: BLE001 - a route is a stranger's code
            refusal = self._refusal(error, exchange.head)
            if not exchange.is_begun:
                exchange.refuse(refusal)

    def _refusal(self, error: Exception, head: Head) -> HeadRefused:
        if isinstance(error, HeadRefused):
            self._metrics.hit(error.limit)
            return error
        incident = self._on_crash(error, f"{head.method} {head.path}")
        return HeadRefused(500, f"internal fault; incident {incident}")

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.head.path
        if exchange.head.method not in self._methods:
            raise HeadRefused(501, "this method is not known here")
        if path == "*":
            exchange.respond(204, headers={"allow": ALLOWED})
        elif path == "/trpc" or path.startswith("/trpc/"):
            await self._answer_trpc(exchange)
        else:
            if exchange.head.method in _SAFE:
                self._origins.check_host(exchange.head)
            else:
                self._origins.check(exchange.head)
            await self._answer_route(exchange)

    # ── tRPC ─────────────────────────────────────────────────────────────────────────────────────────

    async def _answer_trpc(self, exchange: Exchange) -> None:
        exchange.headers.update(self._origins.headers(exchange.head))
        if exchange.head.method != "OPTIONS":
            await self._trpc.answer(exchange)
            return
        exchange.respond(204, headers=preflight_headers(exchange.head) or {"allow": ALLOWED})

    # ── routes ───────────────────────────────────────────────────────────────────────────────────────

    async def _answer_route(self, exchange: Exchange) -> None:
        head = exchange.head
        route = self._route(head)
        body = await exchange.body(self._max_body_bytes)
        request = RouteRequest(head.method, head.path, head.query, head.headers, body, self._hub)
        with trio.move_on_after(ANSWER_S):
            response = await route.answer(request)
            exchange.respond(response.status, response.body, response.content_type, response.headers)
            return
        raise HeadRefused(503, f"{head.path} takes too long to answer")

    def _route(self, head: Head) -> Route:
        method = "GET" if head.method == "HEAD" else head.method
        route = self._routes.get((method, head.path))
        if route is not None:
            return route
        allowed = sorted(method for method, path in self._routes if path == head.path)
        if allowed:
            raise HeadRefused(405, f"{head.path} takes {', '.join(allowed)}", {"allow": ", ".join(allowed)})
        raise HeadRefused(404, f"there is nothing at {head.path}")
