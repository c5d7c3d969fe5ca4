"""Queries and mutations over HTTP: what is asked, what is answered, and who may ask."""

from __future__ import annotations

import json

import pytest
import structlog.testing
import trio
import trio.testing

from adohub import Authenticator, Credentials, Principal
from adohub.config import Auth, Config, Role, Server
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.listening import answered, got, listening, posted, published, target, told
from tests.net.strangers import FAULTY_CALLS, SECRET, doorkeeper, strangers
from tests.running import FREE_PORT, gates_made, open_peer, progress, until
from tests.running import running_hub as running

HEALTH = got("hub.health")


async def refusal(port: int, request: bytes) -> tuple[int, str, str]:
    """Status, code name and text with which `request` is refused."""
    response = await answered(port, request)
    shape = told(response)["error"]
    assert shape["data"]["httpStatus"] == response.status
    assert isinstance(shape["code"], int)
    return response.status, shape["data"]["code"], shape["message"]


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────


async def test_calls_of_every_kind_go_over_one_connection() -> None:
    async with running() as hub, raw.asking(hub.port) as connection:
        health = await connection.ask(HEALTH)
        assert (health.status, told(health)["result"]["data"]["status"]) == (200, "ok")
        assert health.headers["vary"] == "trpc-accept, accept"
        receipt = told(await connection.ask(posted("events.publish", published("t", 1)), "POST"))
        history = told(await connection.ask(got("events.history", {"topics": ["**"]})))
        [event] = history["result"]["data"]["events"]
        assert event["id"] == receipt["result"]["data"]["id"]
        assert event["payload"] == progress("t", 1) | {"timestamp": event["timestamp"]}


async def test_what_is_null_is_null() -> None:
    async with running() as hub:
        assert told(await answered(hub.port, got("state.get", {"key": "nothing"}))) == {
            "result": {"data": None}
        }


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("request_", "status", "code", "text"),
    [
        (got("nope"), 404, "NOT_FOUND", 'No procedure found on path "nope"'),
        (got(""), 404, "NOT_FOUND", 'No procedure found on path ""'),
        (got("..%2f..%2fetc%2fpasswd"), 404, "NOT_FOUND", 'No procedure found on path "../../etc/passwd"'),
        (got("stream.onNope", headers={"Accept": "text/event-stream"}), 404, "NOT_FOUND", "No procedure"),
        (posted("hub.health"), 405, "METHOD_NOT_SUPPORTED", "Unsupported POST-request to query"),
        (got("events.publish"), 405, "METHOD_NOT_SUPPORTED", "Unsupported GET-request to mutation"),
        (posted("stream.onSystemEvent"), 405, "METHOD_NOT_SUPPORTED", "to subscription procedure"),
        (posted("events.publish", method="PUT"), 405, "METHOD_NOT_SUPPORTED", "Unsupported PUT-request"),
        (posted("events.publish", headers={"Content-Type": None}), 415, "UNSUPPORTED_MEDIA_TYPE", "Missing"),
        (posted("hub.health", headers={"Content-Type": "text/x"}), 415, "UNSUPPORTED_MEDIA_TYPE", "text/x"),
        (posted("events.publish"), 400, "BAD_REQUEST", "topic: required"),
        (posted("events.publish", published("t", 101)), 400, "BAD_REQUEST", "progress: expected at most 100"),
        (got("events.history") + b"", 400, "BAD_REQUEST", "topics: required"),
        (got("%ff"), 400, "BAD_REQUEST", 'Invalid URL-encoding in path "%ff"'),
        (got("hub.health", connectionParams="{bad"), 400, "PARSE_ERROR", "Not JSON-parsable query params"),
        (got("hub.health,events.publish", batch="1"), 400, "BAD_REQUEST", "Cannot mix procedure types"),
        (got("hub.health", transformer="nope"), 400, "BAD_REQUEST", 'there is no transformer "nope"'),
        (
            got("hub.health", headers={"trpc-accept": "application/jsonl"}),
            400,
            "BAD_REQUEST",
            "Streaming requests must be batched",
        ),
    ],
    ids=lambda value: value.partition(b" HTTP")[0].decode() if isinstance(value, bytes) else "",
)  # fmt: skip
async def test_what_cannot_be_done_is_refused_in_trpc_s_words(
    request_: bytes, status: int, code: str, text: str
) -> None:
    async with running() as hub:
        assert (await refusal(hub.port, request_))[:2] == (status, code)
        assert text in (await refusal(hub.port, request_))[2]


async def test_the_wrong_method_is_told_the_right_one() -> None:
    async with running() as hub:
        assert (await answered(hub.port, posted("hub.health"))).headers["allow"] == "GET"
        assert (await answered(hub.port, got("events.publish"))).headers["allow"] == "POST"


@pytest.mark.parametrize("text", [b"{bad", b"\xff", b"[" * 2000])
async def test_a_body_that_is_no_json_is_refused(text: bytes) -> None:
    headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": str(len(text))}
    async with running() as hub:
        request = raw.head(target("events.publish"), headers, method="POST") + text
        assert (await refusal(hub.port, request))[:2] == (400, "BAD_REQUEST")


async def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    async with running(Config(server=Server(port=0, max_message_bytes=1000))) as hub:
        headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": "1001"}
        request = raw.head(target("events.publish"), headers, method="POST")
        async with raw.asking(hub.port) as connection:
            response = await connection.ask(request, "POST")
            assert (response.status, told(response)["error"]["data"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
            assert response.headers["connection"] == "close"
        fits = json.dumps(published("t", 1)).encode().ljust(1000)
        headers["Content-Length"] = "1000"
        request = raw.head(target("events.publish"), headers, method="POST") + fits
        assert (await answered(hub.port, request)).status == 200


@pytest.mark.parametrize("number", range(len(FAULTY_CALLS)), ids=FAULTY_CALLS)
async def test_a_procedure_s_fault_is_an_incident_without_its_inner_text(number: int) -> None:
    async with running(FREE_PORT, strangers()) as hub:
        with structlog.testing.capture_logs() as logs:
            status, code, message = await refusal(hub.port, got(f"test.fault{number}"))
        assert (status, code) == (500, "INTERNAL_SERVER_ERROR")
        assert SECRET not in message
        [entry] = logs
        assert entry["incident"] in message


async def test_head_is_answered_without_asking_anything() -> None:
    async with running() as hub:
        response = await answered(hub.port, raw.head("/trpc/hub.health", method="HEAD"))
        assert (response.status, response.body) == (204, b"")


# ── who may ask ──────────────────────────────────────────────────────────────────────────────────────

GOOD = {
    "header": got("hub.health", headers={"Authorization": "Bearer good"}),
    "url": got("hub.health", token="good"),
    "params": got("hub.health", connectionParams='{"token":"good"}'),
}
BAD = {
    "none": got("hub.health"),
    "header": got("hub.health", headers={"Authorization": "Bearer bad"}),
    "url": got("hub.health", token="bad"),
    "params": got("hub.health", connectionParams='{"token":"bad"}'),
    "header before params": got(
        "hub.health", headers={"Authorization": "Bearer bad"}, connectionParams='{"token":"good"}'
    ),
    "subscription": got("stream.onSystemEvent", headers={"Authorization": "Bearer bad"}),
}


@pytest.mark.parametrize("request_", GOOD.values(), ids=GOOD)
async def test_a_credential_may_be_shown_in_three_ways(request_: bytes) -> None:
    async with running(FREE_PORT, doorkeeper()) as hub:
        assert (await answered(hub.port, request_)).status == 200


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD)
async def test_without_a_good_credential_there_is_401(request_: bytes) -> None:
    async with running(FREE_PORT, doorkeeper()) as hub:
        response = await answered(hub.port, request_)
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
        assert told(response)["error"]["data"]["code"] == "UNAUTHORIZED"


async def test_each_request_of_a_connection_shows_its_own_credential() -> None:
    async with running(FREE_PORT, doorkeeper()) as hub, raw.asking(hub.port) as connection:
        statuses = [
            (await connection.ask(request)).status for request in (*GOOD.values(), *BAD.values(), GOOD["url"])
        ]
        assert statuses == [200] * len(GOOD) + [401] * len(BAD) + [200]


async def test_an_authenticator_that_breaks_down_gets_500_without_its_inner_text() -> None:
    async with running(FREE_PORT, doorkeeper()) as hub:
        with structlog.testing.capture_logs():
            status, code, message = await refusal(hub.port, got("hub.health", token="poison"))
        assert (status, code) == (500, "INTERNAL_SERVER_ERROR")
        assert SECRET not in message


async def test_a_role_bounds_what_may_be_done() -> None:
    auth = Auth(allow_anonymous=True, roles={"anonymous": Role(publish=("agent.**",))})
    async with running(Config(server=Server(port=0), auth=auth), doorkeeper()) as hub:
        assert (await refusal(hub.port, posted("events.publish", published("t", 1))))[:2] == (
            403,
            "FORBIDDEN",
        )
        assert (
            await answered(hub.port, posted("events.publish", published("t", 1), token="good"))
        ).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_pages_of_other_origins_need_permission(method: str) -> None:
    config = Config(server=Server(port=0, allowed_origins=("http://ok.example",)))
    async with running(config) as hub:
        for origin, status in (("http://ok.example", 200), ("http://hub", 200), ("http://bad.example", 403)):
            headers = {"Origin": origin}
            request = (
                got("hub.health", headers=headers)
                if method == "GET"
                else posted("events.publish", published("t", 1), headers=headers)
            )
            response = await answered(hub.port, request)
            assert response.status == status
            allowed = response.headers.get("access-control-allow-origin")
            assert allowed == (origin if origin == "http://ok.example" else None)


async def test_refusals_may_be_read_across_origins_too() -> None:
    config = Config(server=Server(port=0, allowed_origins=("http://ok.example",)))
    async with running(config) as hub:
        response = await answered(hub.port, got("nope", headers={"Origin": "http://ok.example"}))
        assert (response.status, response.headers["access-control-allow-origin"]) == (
            404,
            "http://ok.example",
        )
        assert response.headers["vary"] == "origin, trpc-accept, accept"


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────


async def test_when_full_queries_get_503_and_may_be_tried_again() -> None:
    with gates_made() as gates:
        async with running(Config(server=Server(port=0, max_connections=1))) as hub:
            async with open_peer(hub.url):
                response = await answered(hub.port, HEALTH)
                assert (response.status, response.headers["retry-after"]) == (503, "1")
                assert response.headers["connection"] == "close"
                assert told(response)["error"]["data"]["code"] == "SERVICE_UNAVAILABLE"
            await until(lambda: gates[0].connections == 0)
            assert (await answered(hub.port, HEALTH)).status == 200


async def test_when_full_a_subscription_is_told_so_in_its_stream_and_to_come_back() -> None:
    """Any other status would end it for good (contract, "Stock clients were measured")."""
    async with running(Config(server=Server(port=0, max_connections=1))) as hub, open_peer(hub.url):
        async with listening(hub.port, "stream.onSystemEvent") as stream:
            assert stream.status == 200
            [(first, _), (second, shape)] = await stream.rest()
            assert (first, second) == ("connected", "serialized-error")
            assert (shape["code"], shape["data"]["code"]) == (-32603, "SERVICE_UNAVAILABLE")
            assert stream.source.reconnection_ms is not None


async def test_a_stream_of_version_10_is_refused_in_its_own_lines() -> None:
    headers = {"Authorization": "Bearer bad", "trpc-batch-mode": "stream"}
    async with running(FREE_PORT, doorkeeper()) as hub:
        response = await answered(hub.port, got("hub.health,hub.info", headers=headers, batch="1"))
        assert response.status == 401
        refused = told(response)
        assert [refused[number]["error"]["data"]["code"] for number in "01"] == ["UNAUTHORIZED"] * 2
        assert response.body.count(b"\n") == 3


async def test_an_authenticator_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async def authenticate(credentials: Credentials) -> Principal | None:
        await trio.sleep_forever()

    hanging = Contribution("hanging", authenticators=[Authenticator("hanging", authenticate)])
    config = Config(server=Server(port=0, handshake_timeout_ms=200))
    async with running(config, hanging) as hub:
        assert (await refusal(hub.port, HEALTH))[:2] == (503, "SERVICE_UNAVAILABLE")


async def test_who_waits_with_nothing_to_ask_makes_room_for_who_comes() -> None:
    with gates_made() as gates:
        async with running(Config(server=Server(port=0, max_connections=3))) as hub:
            async with (
                raw.asking(hub.port) as one,
                raw.asking(hub.port) as two,
                raw.asking(hub.port) as three,
            ):
                for idle in (one, two, three):
                    assert (await idle.ask(HEALTH)).status == 200
                async with open_peer(hub.url) as newcomer:
                    await newcomer.is_served()
                    assert await one.is_over()
                    assert (await two.ask(HEALTH)).status == 200
            await until(lambda: gates[0].connections == 0)


async def test_what_lies_behind_a_chunked_body_is_not_acted_upon() -> None:
    state = json.dumps({"key": "k", "value": "x"}).encode()
    chunk = state.ljust(1024 - len(b"3f9\r\n\r\n0\r\n\r\n"))
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk)
    assert len(body) == 1024
    headers = {"Host": "hub", "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    first = raw.head(target("state.set"), headers, method="POST") + body
    async with running() as hub, raw.asking(hub.port) as connection:
        response = await connection.ask(first + posted("state.set", {"key": "k", "value": "y"}), "POST")
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert await connection.is_over()
        found = told(await answered(hub.port, got("state.get", {"key": "k"})))["result"]["data"]
        assert found == {"value": "x", "revision": 1}
