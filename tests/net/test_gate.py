"""The gate lets in who may come in, and tells all others why not by HTTP, where every client backs off."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import pytest
import structlog.testing
import trio
import trio.testing

from adohub import Authenticator, Credentials, PeerError, Principal
from adohub.config import Config, Server
from adohub.net.gate import CLOSING_AT_A_TIME
from adohub.plugin.registry import Contribution
from adohub.wire.frame import text_frame
from tests.net import raw
from tests.net.strangers import SECRET, Patience, doorkeeper, strangers
from tests.net.test_metrics import scraped
from tests.running import FREE_PORT, gates_made, open_peer, request, running_hub, until


async def refusal(port: int, request: bytes) -> tuple[int, str]:
    """The status and the reason with which `request` is refused."""
    response = await raw.exchange(port, request)
    assert response is not None
    assert response.headers["content-type"] == "application/json"
    assert response.headers["connection"] == "close"
    return response.status, json.loads(response.body)["error"]["message"]


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("resource", ["/?token=good", "/trpc?token=good", "/?x=1&token=good"])
async def test_a_token_may_be_in_the_url(resource: str) -> None:
    async with running_hub(FREE_PORT, doorkeeper()) as hub, open_peer(hub.url, resource) as peer:
        await peer.is_served()


@pytest.mark.parametrize("header", ["Bearer good", "bearer good", "BEARER   good"])
async def test_a_token_may_be_in_the_header(header: str) -> None:
    async with running_hub(FREE_PORT, doorkeeper()) as hub:
        async with open_peer(hub.url, headers={"Authorization": header}) as peer:
            await peer.is_served()


NO_GOOD_TOKEN = {
    "none": raw.upgrade(),
    "empty header": raw.upgrade(Authorization=""),
    "wrong header": raw.upgrade(Authorization="Bearer bad"),
    "another scheme": raw.upgrade(Authorization="Basic good"),
    "wrong in the url": raw.upgrade("/?token=bad"),
    "wrong with params to come": raw.upgrade("/?token=bad&connectionParams=1"),
    "no text at all": raw.upgrade(Authorization="Bearer \xff\xfe"),
    "header before url": raw.upgrade("/?token=good", Authorization="Bearer bad"),
}


@pytest.mark.parametrize("request_", NO_GOOD_TOKEN.values(), ids=NO_GOOD_TOKEN.keys())
async def test_without_a_good_credential_the_upgrade_gets_401(request_: bytes) -> None:
    async with running_hub(FREE_PORT, doorkeeper()) as hub:
        status, reason = await refusal(hub.port, request_)
        assert status == 401
        assert "credential" in reason
        response = await raw.exchange(hub.port, request_)
        assert response is not None
        assert response.headers["www-authenticate"] == "Bearer"


async def test_an_authenticator_that_breaks_down_gets_500_without_its_inner_text() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub(FREE_PORT, doorkeeper()) as hub:
            status, reason = await refusal(hub.port, raw.upgrade("/?token=poison"))
            assert status == 500
            assert SECRET not in reason
            assert any(line.get("incident", "none") in reason for line in logs)


async def test_an_authenticator_may_refuse_in_its_own_words() -> None:
    async def authenticate(credentials: Credentials) -> Principal | None:
        raise PeerError("FORBIDDEN", "not on Sundays")

    strict = Contribution("strict", authenticators=[Authenticator("strict", authenticate)])
    async with running_hub(FREE_PORT, strict) as hub:
        assert await refusal(hub.port, raw.upgrade()) == (403, "not on Sundays")


# ── origin, path, handshake ──────────────────────────────────────────────────────────────────────────────


async def origin_status(config: Config, origin: str) -> int:
    async with running_hub(config) as hub:
        async with await raw.connected(hub.port) as stream:
            await stream.send_all(raw.upgrade(Origin=origin))
            response = raw.response(bytes(await stream.receive_some()))
            assert response is not None
            return response.status


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        ((), "http://hub", 101),  # the same as Host
        ((), "http://evil.example", 403),
        ((), "null", 403),
        ((), "", 403),
        (("https://app.example",), "https://app.example", 101),
        (("https://app.example",), "http://app.example", 403),
        (("https://app.example",), "https://app.example.evil", 403),
        (("*",), "https://anything.example", 101),
    ],
)
async def test_a_page_of_another_origin_needs_permission(
    allowed: tuple[str, ...], origin: str, status: int
) -> None:
    assert await origin_status(Config(server=Server(port=0, allowed_origins=allowed)), origin) == status


BAD_HANDSHAKES = {
    "another path": (raw.upgrade("/elsewhere"), 404),
    "another path below trpc": (raw.upgrade("/trpc/more"), 404),
    "a POST": (raw.upgrade().replace(b"GET", b"POST"), 405),
    "no Connection": (raw.upgrade(Connection=None), 400),
    "Connection: close": (raw.upgrade(Connection="close"), 400),
    "no version": (raw.upgrade(Sec_WebSocket_Version=None), 426),
    "another version": (raw.upgrade(Sec_WebSocket_Version="8"), 426),
    "no key": (raw.upgrade(Sec_WebSocket_Key=None), 400),
    "a short key": (raw.upgrade(Sec_WebSocket_Key="c2hvcnQ="), 400),
    "a key that is no base64": (raw.upgrade(Sec_WebSocket_Key="*" * 24), 400),
    "a key that is no ASCII": (raw.upgrade(Sec_WebSocket_Key="é" * 24), 400),
    "HTTP/1.0": (raw.upgrade().replace(b"1.1", b"1.0"), 400),
    "a body": (raw.upgrade(Content_Length="5") + b"body!", 400),
    "a frame that does not wait for the answer": (raw.upgrade() + raw.frame(raw.TEXT, b"PING"), 400),
    "a chunked body": (raw.upgrade(Transfer_Encoding="chunked") + b"0\r\n\r\n", 400),
}


@pytest.mark.parametrize(("request_", "status"), BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES.keys())
async def test_a_handshake_that_is_not_in_order_is_refused(request_: bytes, status: int) -> None:
    async with running_hub() as hub:
        assert (await refusal(hub.port, request_))[0] == status


ODD_HANDSHAKES = {
    "names in any case": raw.upgrade(Upgrade=None, UPGRADE="WebSocket"),
    "more tokens in Connection": raw.upgrade(Connection="keep-alive, upgrade"),
    "extensions": raw.upgrade(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits, =;;,"),
    "subprotocols that are no ASCII": raw.upgrade(Sec_WebSocket_Protocol="é"),
    "a host that is no name": raw.upgrade(Host="[é"),
}


@pytest.mark.parametrize("request_", ODD_HANDSHAKES.values(), ids=ODD_HANDSHAKES.keys())
async def test_a_handshake_with_what_does_not_matter_is_accepted(request_: bytes) -> None:
    async with running_hub() as hub, await raw.connected(hub.port) as stream:
        await stream.send_all(request_)
        response = raw.response(bytes(await stream.receive_some()))
        assert response is not None
        assert response.status == 101
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & response.headers.keys()
        await stream.send_all(raw.frame(raw.TEXT, b"PING"))
        assert await stream.receive_some() == text_frame(b"PONG")


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_when_full_the_next_gets_503_until_somebody_leaves() -> None:
    with gates_made() as gates:
        async with running_hub(Config(server=Server(port=0, max_connections=2))) as hub:
            async with open_peer(hub.url) as one:
                async with open_peer(hub.url):
                    response = await raw.exchange(hub.port, raw.upgrade())
                    assert response is not None
                    assert response.status == 503
                    assert "retry-after" in response.headers
                    await one.is_served()
                await until(lambda: gates[0].connections == 1)
                async with open_peer(hub.url) as next_:
                    await next_.is_served()


async def test_a_crowd_that_has_to_make_room_holds_few_descriptors_more_than_there_may_be() -> None:
    most = 20
    with gates_made() as gates, ExitStack() as opened:
        async with running_hub(Config(server=Server(port=0, max_connections=most))) as hub:
            highest = 0
            for _ in range(10 * most):
                opened.enter_context(socket.create_connection(("127.0.0.1", hub.port)))
                await trio.testing.wait_all_tasks_blocked()
                highest = max(highest, gates[0].connections)
            assert most < highest <= most + CLOSING_AT_A_TIME + 1
            assert (await scraped(hub.port))["ado_limit_hits_total", "max_connections"] >= 8 * most


async def test_when_full_the_health_pages_still_answer() -> None:
    async with running_hub(Config(server=Server(port=0, max_connections=1))) as hub, open_peer(hub.url):
        response = await raw.exchange(hub.port, raw.head("/healthz"))
        assert response is not None
        assert response.status == 200


async def test_while_draining_newcomers_get_503_and_readyz_says_so() -> None:
    patience = Patience()
    async with running_hub(FREE_PORT, strangers(patience)) as hub, open_peer(hub.url) as peer:
        await peer.tell(request(1, "query", "test.wait"))
        await until(lambda: patience.begun)
        hub.daemon.stop()
        await trio.testing.wait_all_tasks_blocked()
        assert (await refusal(hub.port, raw.upgrade()))[0] == 503
        for path, status in (("/readyz", 503), ("/healthz", 200)):
            response = await raw.exchange(hub.port, raw.head(path))
            assert response is not None
            assert (response.status, json.loads(response.body)) == (status, {"status": "draining"})
        patience.let_go.set()


async def test_who_was_being_let_in_when_the_drain_began_is_seen_out_too() -> None:
    deciding, decide = trio.Event(), trio.Event()

    async def authenticate(credentials: Credentials) -> Principal:
        if credentials.get("token") == "late":
            deciding.set()
            await decide.wait()
        return Principal("guest", roles=["*"])

    slow = Contribution("slow", authenticators=[Authenticator("slow", authenticate)])
    patience = Patience()
    async with running_hub(FREE_PORT, slow, strangers(patience)) as hub, open_peer(hub.url) as busy:
        async with await raw.connected(hub.port) as stream:
            await busy.tell(request(1, "query", "test.wait"))
            await until(lambda: patience.begun)
            await stream.send_all(raw.upgrade("/?token=late"))
            await deciding.wait()
            hub.daemon.stop()
            await trio.testing.wait_all_tasks_blocked()
            decide.set()
            frames = (await raw.read_to_end(stream)).partition(b"\r\n\r\n")[2]
            assert frames[2:4] == (1012).to_bytes(2, "big")
            patience.let_go.set()
            assert (await busy.closed())[0] == 1012
