"""The plain HTTP pages: `GET /`, `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import json

from adohub import Route, RouteRequest, RouteResponse, hookimpl

_HELLO = """<!doctype html>
<meta charset="utf-8">
<title>adohub</title>
<h1>adohub</h1>
<p>This is an event hub. Connect a tRPC client to this address: over WebSockets at <code>/</code> or
<code>/trpc</code>, over HTTP and server-sent events at <code>/trpc</code>.</p>
<ul>
<li><a href="/trpc/hub.info">/trpc/hub.info</a>: what it carries</li>
<li><a href="/healthz">/healthz</a>: it runs</li>
<li><a href="/readyz">/readyz</a>: it takes connections</li>
<li><a href="/metrics">/metrics</a>: what it counts, for Prometheus</li>
</ul>
"""


async def hello(request: RouteRequest) -> RouteResponse:
    """A page for whoever opens the address in a browser."""
    return RouteResponse(body=_HELLO.encode(), content_type="text/html; charset=utf-8")


async def healthz(request: RouteRequest) -> RouteResponse:
    """200 as long as the hub answers at all."""
    return _json(200, {"status": request.hub.health()["status"]})


async def readyz(request: RouteRequest) -> RouteResponse:
    """200 when new connections and events are welcome, 503 while draining or when storage takes nothing."""
    status, trouble = request.hub.health()["status"], request.hub.trouble()
    return _json(
        200 if status == "ok" else 503, {"status": status, **({"storage": "unavailable"} if trouble else {})}
    )


async def metrics(request: RouteRequest) -> RouteResponse:
    """What the hub counts, in Prometheus' text format or in OpenMetrics."""
    body, content_type = request.hub.metrics(request.headers.get("accept", ""))
    return RouteResponse(200, body, content_type)


def _json(status: int, value: object) -> RouteResponse:
    return RouteResponse(status, json.dumps(value).encode(), "application/json")


@hookimpl
def adohub_http_routes(config: object) -> list[Route]:
    return [
        Route("GET", "/", hello),
        Route("GET", "/healthz", healthz),
        Route("GET", "/readyz", readyz),
        Route("GET", "/metrics", metrics),
    ]
