"""Plain HTTP: a request is answered by a plugin's route, by tRPC, or with the reason why not."""

from __future__ import annotations

import json

import pytest
import structlog.testing

from adohub.net.web import MAX_BODY_BYTES
from tests.net import raw
from tests.net.strangers import SECRET, strangers
from tests.running import FREE_PORT, open_peer, running_hub


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
