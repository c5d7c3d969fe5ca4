"""The plain pages: a hello, and two addresses for those who watch over the hub."""

from __future__ import annotations

import json

import pytest

from adohub import Route, RouteRequest, RouteResponse
from adohub.builtin import pages
from tests.builtin.socketless import Running

ROUTES: dict[tuple[str, str], Route] = {
    (route.method, route.path): route for route in pages.adohub_http_routes(config=None)
}


async def get(hub: Running, path: str) -> RouteResponse:
    return await ROUTES["GET", path].answer(RouteRequest("GET", path, {}, {}, b"", hub.service))


async def test_hello_is_a_page_whose_links_lead_somewhere(hub: Running) -> None:
    page = await get(hub, "/")
    assert (page.status, page.content_type) == (200, "text/html; charset=utf-8")
    text = page.body.decode()
    links = [part.split('"')[0] for part in text.split('href="')[1:]]
    queries = {f"/trpc/{path}" for path in ("hub.info", "hub.health") if await hub.query(path)}
    assert {"/healthz", "/readyz", "/metrics"} <= set(links) <= queries | {path for _, path in ROUTES}


@pytest.mark.parametrize(("status", "alive", "ready"), [("ok", 200, 200), ("draining", 200, 503)])
async def test_health_and_readiness(hub: Running, status: str, alive: int, ready: int) -> None:
    hub.service.report_draining(lambda: status == "draining")
    for path, expected in (("/healthz", alive), ("/readyz", ready)):
        response = await get(hub, path)
        assert (response.status, response.content_type) == (expected, "application/json")
        assert json.loads(response.body) == {"status": status}
