"""What pages in browsers are told below /trpc: who may read, what they may send, who may not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from adohub.config import Config, Server
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.strangers import doorkeeper
from tests.running import running_hub

Ask: TypeAlias = Callable[[str], bytes]

APP = "https://app.example"

OF_TRPC = "trpc-accept, accept"
"""What tRPC's own answers depend on."""


def allowing(*origins: str) -> Config:
    return Config(server=Server(port=0, allowed_origins=origins))


def from_page(origin: str | None, method: str = "GET", path: str = "/trpc/a.b", **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.head(path, {"Host": "hub", "Origin": origin, **named}, method=method)


def preflight(origin: str, headers: str | None = None) -> bytes:
    wanted = {} if headers is None else {"Access_Control_Request_Headers": headers}
    return from_page(origin, "OPTIONS", Access_Control_Request_Method="POST", **wanted)


async def answered(config: Config, request: bytes) -> tuple[int, dict[str, str]]:
    """The status, and what the response says to a browser."""
    async with running_hub(config) as hub:
        response = await raw.exchange(hub.port, request)
        assert response is not None
        told = {
            name: value
            for name, value in response.headers.items()
            if name.startswith("access-control-") or name == "vary"
        }
        return response.status, told


async def test_a_page_of_an_allowed_origin_may_read_the_answer_even_if_it_is_an_error() -> None:
    assert await answered(allowing(APP, "https://b.example"), from_page(APP)) == (
        404,
        {
            "access-control-allow-origin": APP,
            "access-control-allow-credentials": "true",
            "vary": f"origin, {OF_TRPC}",
        },
    )


async def test_where_any_page_may_none_is_named() -> None:
    assert await answered(allowing("*"), from_page(APP)) == (
        404,
        {"access-control-allow-origin": "*", "vary": OF_TRPC},
    )


@pytest.mark.parametrize("origins", [(), (APP,)])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", APP + ".evil", "http://app.example"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_a_page_of_another_origin_gets_403_and_may_not_read_even_that(
    origins: tuple[str, ...], origin: str, method: str
) -> None:
    request = from_page(origin, method, Access_Control_Request_Method="POST")
    assert await answered(allowing(*origins), request) == (403, {})


async def test_a_page_of_the_hub_itself_may_ask_whatever_is_allowed() -> None:
    assert await answered(allowing(), from_page("http://hub")) == (404, {"vary": OF_TRPC})
    told = {"vary": f"origin, {OF_TRPC}"}
    assert await answered(allowing(APP), from_page("http://hub", "POST")) == (415, told)


async def test_who_names_no_origin_is_no_page() -> None:
    assert await answered(allowing(), from_page(None)) == (404, {"vary": OF_TRPC})
    assert await answered(allowing(APP), from_page(None)) == (404, {"vary": f"origin, {OF_TRPC}"})


async def test_no_host_makes_no_page_the_hubs_own() -> None:
    request = raw.head("/trpc/a.b", {"Host": "", "Origin": "null"})
    assert await answered(allowing(), request) == (403, {})


PREFLIGHTS = {
    "as asked": ("x-mine, content-type", "x-mine, content-type"),
    "as Chromium asks": ("content-type,trpc-accept", "content-type,trpc-accept"),
    "no names": ("x-mine, a b", "content-type, authorization, trpc-accept, trpc-batch-mode, last-event-id"),
    "nothing asked": (None, "content-type, authorization, trpc-accept, trpc-batch-mode, last-event-id"),
}


@pytest.mark.parametrize(("asked", "told"), PREFLIGHTS.values(), ids=PREFLIGHTS.keys())
async def test_a_preflight_is_told_what_a_page_may_send(asked: str | None, told: str) -> None:
    assert await answered(allowing(APP), preflight(APP, asked)) == (
        204,
        {
            "access-control-allow-origin": APP,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, POST, OPTIONS",
            "access-control-allow-headers": told,
            "access-control-max-age": "7200",
            "vary": "origin, access-control-request-headers",
        },
    )


async def test_options_that_are_no_preflight_are_told_what_there_is() -> None:
    async with running_hub(allowing(APP)) as hub:
        for path in ("/trpc", "/trpc/a.b", "*"):
            response = await raw.exchange(hub.port, raw.head(path, method="OPTIONS"))
            assert response is not None
            assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")


@pytest.mark.parametrize("path", ["/healthz", "/trpcx"])
async def test_pages_beside_trpc_are_none_of_other_pages_business(path: str) -> None:
    status, told = await answered(allowing(APP), from_page(APP, path=path))
    assert told == {}
    assert status in (200, 404)


# ── names that may be anybody's ──────────────────────────────────────────────────────────────────────────

OURS = [
    *("localhost", "localhost:3001", "LOCALHOST:3001", "app.localhost", "hub", "hub:3001"),
    *("127.0.0.1", "127.0.0.1:3001", "192.0.2.7:80", "[::1]", "[::1]:3001", "[2001:db8::1]:3001"),
]
ANYBODYS = [
    "evil.example",
    "evil.example:3001",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "com.",
    "1.2.3",
]

REQUESTS = {
    "upgrade": lambda host: raw.upgrade(Host=host),
    "upgrade by its own page": lambda host: raw.upgrade(Host=host, Origin=f"http://{host}"),
    "query": lambda host: raw.head("/trpc/hub.health", {"Host": host}),
    "page": lambda host: raw.head("/metrics", {"Host": host}),
}


async def status_of(config: Config, request: bytes, *contributions: Contribution) -> int:
    async with running_hub(config, *contributions) as hub:
        response = await raw.exchange(hub.port, request)
        assert response is not None
        return response.status


@pytest.mark.parametrize("ask", REQUESTS.values(), ids=REQUESTS.keys())
async def test_an_open_hub_does_not_answer_to_a_name_that_anybody_can_give_to_this_machine(ask: Ask) -> None:
    assert [host for host in ANYBODYS if await status_of(allowing(), ask(host)) != 403] == []
    assert [host for host in OURS if await status_of(allowing(), ask(host)) == 403] == []


@pytest.mark.parametrize("ask", REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_host_whose_pages_are_allowed_is_answered(ask: Ask) -> None:
    for origins in (("https://ok.example", "http://evil.example:3001"), ("*",)):
        assert await status_of(allowing(*origins), ask("evil.example:3001")) != 403


@pytest.mark.parametrize("ask", REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_hub_that_asks_for_credentials_may_have_any_name(ask: Ask) -> None:
    assert await status_of(allowing(), ask("hub.example:3001"), doorkeeper()) != 403
