"""Plain HTTP: a request is answered by a plugin's route, by tRPC, or with the reason why not."""

from __future__ import annotations

import json
from typing import cast

import pytest
import structlog.testing
import trio

from adohub import Route, RouteRequest, RouteResponse
from adohub.config import Config, Server
from adohub.net import web
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.strangers import SECRET, strangers
from tests.running import FREE_PORT, open_peer, running_hub

MAX_BODY_BYTES = Server().max_message_bytes


async def fetched(port: int, request: bytes) -> raw.Response:
    response = await raw.exchange(port, request)
    assert response is not None
    return response


def posted(body: bytes, **headers: str) -> bytes:
    sent = {"Host": "hub", "Content-Length": str(len(body)), **headers}
    return raw.head("/echo", sent, method="POST") + body


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/?utm=x", "text/html; charset=utf-8"),
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("http://hub/healthz", "application/json"),
    ],
)
async def test_the_pages_are_there(path: str, content_type: str) -> None:
    async with running_hub() as hub:
        response = await fetched(hub.port, raw.head(path))
        assert (response.status, response.headers["content-type"]) == (200, content_type)
        assert int(response.headers["content-length"]) == len(response.body) > 0


async def test_head_is_get_without_the_body() -> None:
    async with running_hub() as hub:
        whole = await fetched(hub.port, raw.head("/"))
        only_head = await fetched(hub.port, raw.head("/", method="HEAD"))
        assert only_head.headers == whole.headers
        assert (only_head.status, only_head.body) == (200, b"")


@pytest.mark.parametrize("path", ["/nothing", "/healthz/", "/trpcx", "/%2e%2e/etc/passwd"])
async def test_what_is_not_there_gets_404(path: str) -> None:
    async with running_hub() as hub:
        response = await fetched(hub.port, raw.head(path))
        assert response.status == 404
        assert json.loads(response.body)["error"]["message"] == f"there is nothing at {path}"


async def test_another_method_gets_405_and_which_one_is_allowed() -> None:
    async with running_hub(FREE_PORT, strangers()) as hub:
        response = await fetched(hub.port, raw.head("/healthz", method="DELETE"))
        assert (response.status, response.headers["allow"]) == (405, "GET")
        response = await fetched(hub.port, raw.head("/echo"))
        assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_a_route_gets_the_body() -> None:
    async with running_hub(FREE_PORT, strangers()) as hub:
        assert (await fetched(hub.port, posted(b"hello"))).body == b"hello"
        chunked = raw.head("/echo", {"Host": "hub", "Transfer-Encoding": "chunked"}, method="POST")
        assert (await fetched(hub.port, chunked + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")).body == b"hello"


async def test_a_page_of_another_origin_may_ask_a_route_and_change_nothing_by_it() -> None:
    elsewhere = {"Host": "hub", "Origin": "https://elsewhere.example", "Content-Length": "2"}
    async with running_hub(Config(server=Server(port=0)), strangers()) as hub:
        changing = await raw.exchange(hub.port, raw.head("/echo", elsewhere, method="POST") + b"hi")
        asking = await raw.exchange(hub.port, raw.head("/healthz", elsewhere) + b"hi")
    assert changing is not None
    assert (changing.status, b"elsewhere.example" in changing.body) == (403, True)
    assert asking is not None
    assert asking.status == 200


async def test_a_body_up_to_the_limit_is_taken_and_beyond_it_gets_413() -> None:
    async with running_hub(FREE_PORT, strangers()) as hub:
        assert (await fetched(hub.port, posted(b"x" * MAX_BODY_BYTES))).status == 200
        assert (await fetched(hub.port, posted(b"x" * (MAX_BODY_BYTES + 1)))).status == 413


@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_a_body_that_ends_early_gets_400(body: bytes) -> None:
    async with running_hub(FREE_PORT, strangers()) as hub:
        async with await raw.connected(hub.port) as stream:
            await stream.send_all(
                raw.head("/echo", {"Host": "a", "Content-Length": "10"}, method="POST") + body
            )
            await stream.send_eof()
            response = raw.response(await raw.read_to_end(stream))
            assert response is not None
            assert response.status == 400


async def test_a_body_that_cannot_be_read_gets_400() -> None:
    async with running_hub(FREE_PORT, strangers()) as hub:
        chunked = raw.head("/echo", {"Host": "hub", "Transfer-Encoding": "chunked"}, method="POST")
        assert (await fetched(hub.port, chunked + b"what?\r\n")).status == 400


async def test_a_route_that_crashes_gets_500_by_its_incident_only() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub(FREE_PORT, strangers()) as hub, open_peer(hub.url) as other:
            response = await fetched(hub.port, raw.head("/crash"))
            message = json.loads(response.body)["error"]["message"]
            assert response.status == 500
            assert SECRET not in message
            await other.is_served()
    (line,) = [line for line in logs if "incident" in line]
    assert message.endswith(line["incident"])
    assert line["where"] == "GET /crash"


async def test_one_connection_serves_for_many_requests() -> None:
    async with running_hub(FREE_PORT, strangers()) as hub, raw.asking(hub.port) as client:
        assert (await client.ask(raw.head("/healthz"))).status == 200
        assert (await client.ask(posted(b"hello"), "POST")).body == b"hello"
        assert (await client.ask(raw.head("/nothing"))).status == 404
        assert (await client.ask(raw.head("/crash"))).status == 500
        assert (await client.ask(raw.head("/", method="HEAD"), "HEAD")).body == b""
        assert (await client.ask(raw.head("/trpc/a.b"))).status == 404


@pytest.mark.parametrize("method", ["get", "BREW", "X" * 100])
@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/trpc"])
async def test_a_method_that_nobody_knows_gets_501(method: str, path: str) -> None:
    async with running_hub() as hub:
        assert (await fetched(hub.port, raw.head(path, method=method))).status == 501


def answering(response: object) -> Contribution:
    """A route GET /odd that gives `response`."""

    async def answer(request: RouteRequest) -> RouteResponse:
        return cast("RouteResponse", response)

    return Contribution("odd", routes=[Route("GET", "/odd", answer)])


ODD_RESPONSES = {
    "a second line": RouteResponse(headers={"x-a": "b\r\nset-cookie: c"}),
    "a second line in the type": RouteResponse(content_type="text/plain\r\nx: y"),
    "no latin-1": RouteResponse(headers={"x-a": "€"}),
    "a name that is none": RouteResponse(headers={"x a": "b"}),
    "a length of its own": RouteResponse(headers={"Content-Length": "5"}),
    "no final status": RouteResponse(101),
    "a body that is no bytes": RouteResponse(body=cast("bytes", "text")),
    "nothing": None,
}


@pytest.mark.parametrize("response", ODD_RESPONSES.values(), ids=ODD_RESPONSES.keys())
async def test_a_route_that_answers_what_cannot_be_sent_gets_500(response: object) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub(FREE_PORT, answering(response)) as hub, raw.asking(hub.port) as client:
            for _ in range(2):
                answer = await client.ask(raw.head("/odd"))
                assert answer.status == 500
                assert b"internal fault; incident " in answer.body
                assert "x-a" not in answer.headers
    assert len([line for line in logs if "incident" in line]) == 2


async def test_a_route_may_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "ANSWER_S", 0.1)

    async def answer(request: RouteRequest) -> RouteResponse:
        await trio.sleep_forever()

    slow = Contribution("slow", routes=[Route("GET", "/slow", answer)])
    async with running_hub(FREE_PORT, slow) as hub:
        assert (await fetched(hub.port, raw.head("/slow"))).status == 503


async def test_when_full_trpc_gets_503_and_the_connection_ends() -> None:
    async with running_hub(Config(server=Server(port=0, max_connections=1))) as hub, open_peer(hub.url):
        async with raw.asking(hub.port) as client:
            response = await client.ask(raw.head("/trpc/a.b"))
            assert (response.status, response.headers["connection"]) == (503, "close")
            assert response.headers["retry-after"] == "1"
            assert await client.is_over()
