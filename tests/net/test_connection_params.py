"""A peer that announces connection params shows them first; who is refused is told so, and held a while."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import structlog.testing
import trio
import trio_websocket

from adohub import Authenticator, Credentials, PeerError, Principal
from adohub.config import Auth, Config, Keepalive, Server
from adohub.plugin.registry import Contribution
from tests.net.strangers import SECRET, doorkeeper
from tests.running import Peer, gates_made, open_peer, request, running_hub, until

WITH_PARAMS = "/?connectionParams=1"
REJECT_DELAY_S = 0.3
GUARDED = Config(server=Server(port=0), auth=Auth(reject_delay_ms=round(REJECT_DELAY_S * 1000)))
HASTY = Config(server=Server(port=0, handshake_timeout_ms=300))


def params(data: Any) -> dict[str, Any]:
    return {"method": "connectionParams", "data": data}


async def test_good_params_let_the_requests_in_that_follow_at_once() -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        await peer.tell(params({"token": "good"}))
        assert (await peer.query("hub.health"))["status"] == "ok"
        assert await peer.heard_before_pong() == []


@pytest.mark.parametrize("data", [None, {}, {"other": "words"}])
async def test_params_without_a_token_are_fine_where_everybody_is(data: Any) -> None:
    async with running_hub() as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        await peer.tell(params(data))
        await peer.is_served()


async def test_a_header_that_is_good_needs_no_params() -> None:
    headers = {"Authorization": "Bearer good"}
    async with running_hub(GUARDED, doorkeeper()) as hub, open_peer(hub.url, WITH_PARAMS, headers) as peer:
        await peer.tell(params(None))
        await peer.is_served()


async def test_ping_is_answered_before_the_params() -> None:
    async with running_hub() as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        assert await peer.heard_before_pong() == []
        await peer.tell(params(None))
        await peer.is_served()


@pytest.mark.parametrize("data", [None, {}, {"token": ""}, {"token": "bad"}], ids=str)
async def test_refused_params_are_told_then_each_request_by_its_id_then_after_a_delay_closed(
    data: Any,
) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        began = trio.current_time()
        await peer.tell(params(data))
        await assert_refused(peer, "UNAUTHORIZED")
        await peer.closed()
        assert trio.current_time() - began >= REJECT_DELAY_S


async def assert_refused(peer: Peer, code: str) -> str:
    """Under id null first, then under the id of each request. Returns the message."""
    refusal = await peer.hear()
    assert refusal["id"] is None
    assert refusal["error"]["data"]["code"] == code
    for number, (kind, path) in enumerate(
        [("query", "hub.health"), ("subscription", "stream.onSystemEvent")]
    ):
        answer = await peer.ask(request(number, kind, path))
        assert answer["error"]["message"] == refusal["error"]["message"]
        assert answer["error"]["data"] == {**refusal["error"]["data"], "path": path}
    return str(refusal["error"]["message"])


async def test_the_close_of_a_refused_peer_has_no_code() -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        await peer.tell(params({"token": "bad"}))
        assert await peer.closed() == (1005, "")


MALFORMED = {
    "Malformed TRPCConnectionParamsMessage": ["{", "[]", "7", json.dumps([params(None)])],
    "Invalid connection params shape": ["{}", json.dumps(params({"token": 7})), json.dumps(params("token"))],
}


@pytest.mark.parametrize(
    ("frame", "text"), [(frame, text) for text, frames in MALFORMED.items() for frame in frames]
)
async def test_params_that_cannot_be_read_are_refused_in_the_reference_servers_words(
    frame: str, text: str
) -> None:
    async with running_hub(GUARDED) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        await peer.tell(frame)
        assert await assert_refused(peer, "PARSE_ERROR") == text
        await peer.closed()


async def test_an_authenticator_that_breaks_down_lets_nobody_in_and_tells_nothing() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub(GUARDED, doorkeeper()) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
            await peer.tell(params({"token": "poison"}))
            message = await assert_refused(peer, "INTERNAL_SERVER_ERROR")
            assert SECRET not in message
            await peer.closed()
    assert any(line.get("incident", "none") in message for line in logs)


async def test_while_params_cannot_be_checked_the_connection_is_closed_without_an_error_after_a_delay() -> (
    None
):
    """An error would end each subscription of a stock client for good."""

    async def authenticate(credentials: Credentials) -> Principal | None:
        raise PeerError("SERVICE_UNAVAILABLE", "the keys are not there")

    absent = Contribution("issuer", authenticators=[Authenticator("issuer", authenticate)])
    async with running_hub(GUARDED, absent) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        began = trio.current_time()
        await peer.tell(params({"token": "any"}))
        await peer.tell(request(1, "subscription", "stream.onSystemEvent"))
        assert await peer.heard_before_close() == []
        assert await peer.closed() == (1013, "credentials cannot be checked just now")
        assert trio.current_time() - began >= REJECT_DELAY_S


async def test_params_that_do_not_come_in_time_close_the_connection() -> None:
    async with running_hub(HASTY) as hub, open_peer(hub.url, WITH_PARAMS) as peer:
        code, reason = await peer.closed()
        assert (code, reason) == (1008, "no connection params in time")


async def test_pings_do_not_prolong_the_wait_for_params() -> None:
    lively = Config(server=Server(port=0, handshake_timeout_ms=500), keepalive=Keepalive(ping_ms=100))
    async with (
        running_hub(lively) as hub,
        open_peer(hub.url, WITH_PARAMS) as peer,
        trio.open_nursery() as nursery,
    ):

        async def ping_on_and_on() -> None:
            with suppress(trio_websocket.ConnectionClosed):
                while True:
                    await peer.tell("PING")
                    await trio.sleep(0.02)

        nursery.start_soon(ping_on_and_on)
        assert (await peer.closed())[0] == 1008


async def test_without_the_flag_in_the_url_there_is_no_params_message() -> None:
    for resource in ("/", "/?connectionParams=0", "/?connectionparams=1"):
        async with running_hub() as hub, open_peer(hub.url, resource) as peer:
            await peer.tell(params(None))
            assert (await peer.hear())["error"]["data"]["code"] == "PARSE_ERROR"


async def test_nobody_waits_for_a_peer_that_owes_its_params() -> None:
    with gates_made() as gates:
        async with running_hub() as hub, open_peer(hub.url, WITH_PARAMS), open_peer(hub.url) as other:
            await other.is_served()
        await until(lambda: gates[0].connections == 0)
