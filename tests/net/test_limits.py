"""Every limit, met by a real peer: who meets it is refused as documented, and counted; others are served."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen

from adohub import Authenticator, Credentials, Principal
from adohub.config import Auth, Config, Limits, Role, Server
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.test_metrics import scraped
from tests.running import (
    Refused,
    RunningHub,
    completed,
    hosting,
    open_peer,
    progress,
    request,
    running_hub,
)

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs" / "limits.md"


@frozen
class Met:
    """How one limit is met: `meet` does it, and fails unless the refusal is the documented one."""

    meet: Callable[[RunningHub], Awaitable[None]]
    limits: Limits = Limits()
    server: Server = Server()
    role: Role | None = None
    plugin: Mapping[str, Mapping[str, Any]] = field(factory=dict)


async def refusal(calling: Awaitable[Any]) -> str:
    with pytest.raises(Refused) as refused:
        await calling
    return refused.value.code


async def status(hub: RunningHub, request_: bytes) -> int:
    response = await raw.exchange(hub.port, request_)
    assert response is not None
    return response.status


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


def status_event(payload: Any) -> dict[str, Any]:
    return {"topic": "system.provider.status", "payload": {"type": "provider.status", "payload": payload}}


# ── each ─────────────────────────────────────────────────────────────────────────────────────────────────


async def too_many_connections(hub: RunningHub) -> None:
    async with open_peer(hub.url), open_peer(hub.url):
        assert await status(hub, raw.upgrade()) == 503


async def too_long_a_head(hub: RunningHub) -> None:
    assert await status(hub, raw.head("/healthz", {"Host": "hub", "X-Long": "x" * 600})) == 431


async def too_long_a_message(hub: RunningHub) -> None:
    """In bytes, though it has half as many characters."""
    async with open_peer(hub.url) as peer:
        await peer.tell("é" * 600)
        assert (await peer.closed())[0] == 1009


async def too_long_a_body(hub: RunningHub) -> None:
    headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": "1001"}
    assert await status(hub, raw.head("/trpc/events.publish", headers, method="POST")) == 413


async def too_deep(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.mutate("events.publish", status_event(nested(5)))  # two levels are around it
        assert await refusal(peer.mutate("events.publish", status_event(nested(6)))) == "BAD_REQUEST"


async def too_deep_in_a_body(hub: RunningHub) -> None:
    body = b'{"a":' * 9 + b"1" + b"}" * 9
    headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": str(len(body))}
    assert await status(hub, raw.head("/trpc/events.publish", headers, method="POST") + body) == 400


async def too_long_a_batch(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.tell([request(number, "query", "hub.health") for number in range(4)])
        answers = [await peer.answer_to(number) for number in range(4)]
        assert ["error" in answer for answer in answers] == [False, False, False, True]
        assert answers[3]["error"]["data"]["code"] == "TOO_MANY_REQUESTS"


async def too_long_a_batch_over_http(hub: RunningHub) -> None:
    assert await status(hub, raw.head(f"/trpc/{','.join(['hub.health'] * 4)}?batch=1")) == 400


async def too_many_fragments(hub: RunningHub) -> None:
    async with await raw.upgraded(hub.port) as stream:
        parts = [raw.frame(raw.TEXT, b"", final=False), *(raw.frame(0, b"", final=False) for _ in range(3))]
        await stream.send_all(b"".join(parts))
        assert (await raw.read_to_end(stream))[2:4] == (1009).to_bytes(2)


async def too_long_an_id(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.tell(request("é" * 6, "query", "hub.health"))
        assert (await peer.answer_to(None))["error"]["data"]["code"] == "BAD_REQUEST"


async def too_long_an_id_to_resume_from(hub: RunningHub) -> None:
    headers = {"Host": "hub", "Accept": "text/event-stream", "Last-Event-Id": "x" * 12}
    response = await raw.exchange(hub.port, raw.head("/trpc/stream.onSystemEvent", headers))
    assert response is not None
    assert b"BAD_REQUEST" in response.body


async def too_long_an_idempotency_key(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        call = peer.mutate("events.publish", status_event(1) | {"idempotencyKey": "x" * 12})
        assert await refusal(call) == "BAD_REQUEST"


async def too_long_a_key(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.publish("task.progress", progress("x" * 10, 1))
        assert await refusal(peer.publish("task.progress", progress("é" * 6, 1))) == "BAD_REQUEST"


async def too_many_subscriptions(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onSystemEvent")
        assert await refusal(peer.subscribe(2, "stream.onSystemEvent")) == "TOO_MANY_REQUESTS"


async def silence(hub: RunningHub) -> None:
    async with await raw.connected(hub.port) as stream:
        assert await raw.read_to_end(stream) == b""


async def half_a_head(hub: RunningHub) -> None:
    async with await raw.connected(hub.port) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost:")
        assert (await raw.read_to_end(stream)).startswith(b"HTTP/1.1 408 ")


async def half_a_body(hub: RunningHub) -> None:
    async with await raw.connected(hub.port) as stream:
        headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": "10"}
        await stream.send_all(raw.head("/trpc/events.publish", headers, method="POST") + b"{")
        assert (await raw.read_to_end(stream)).startswith(b"HTTP/1.1 408 ")


async def no_connection_params(hub: RunningHub) -> None:
    async with open_peer(hub.url, "/?connectionParams=1") as peer:
        assert (await peer.closed())[0] == 1008


async def too_many_patterns(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onEvent", {"topics": ["a.*", "b.*"]})
        call = peer.subscribe(2, "stream.onEvent", {"topics": ["a.*", "b.*", "c.*"]})
        assert await refusal(call) == "BAD_REQUEST"


async def too_many_patterns_in_history(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        assert await refusal(peer.query("events.history", {"topics": ["a.*", "b.*", "c.*"]})) == "BAD_REQUEST"


async def too_many_events_at_once(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        call = peer.mutate("events.publishMany", {"events": [status_event(1)] * 3})
        assert await refusal(call) == "BAD_REQUEST"


async def too_many_keys(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.mutate("state.set", {"key": "a", "value": 1})
        assert await refusal(peer.mutate("state.set", {"key": "b", "value": 1})) == "PAYLOAD_TOO_LARGE"


async def too_long_an_entry(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        call = peer.mutate("state.set", {"key": "a", "value": "x" * 1024})
        assert await refusal(call) == "PAYLOAD_TOO_LARGE"


async def too_many_events_a_second(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.mutate("events.publishMany", {"events": [status_event(1)] * 2})
        with pytest.raises(Refused) as refused:
            await peer.mutate("events.publish", status_event(1))
        assert refused.value.code == "TOO_MANY_REQUESTS"
        assert 0 < refused.value.shape["data"]["retryAfterMs"] <= 1000


async def too_many_bytes_a_second(hub: RunningHub) -> None:
    async with open_peer(hub.url) as peer:
        await peer.publish("task.completed", completed("t"))
        call = peer.mutate("events.publish", status_event("x" * 200))
        assert await refusal(call) == "TOO_MANY_REQUESTS"


HASTY = Server(handshake_timeout_ms=200)

LIMITS: dict[str, list[Met]] = {
    "max_connections": [Met(too_many_connections, server=Server(max_connections=2))],
    "max_connections_per_address": [
        Met(too_many_connections, limits=Limits(max_connections_per_address=2)),
    ],
    "max_head_bytes": [Met(too_long_a_head, limits=Limits(max_head_bytes=600))],
    "max_message_bytes": [
        Met(too_long_a_message, server=Server(max_message_bytes=1000)),
        Met(too_long_a_body, server=Server(max_message_bytes=1000)),
    ],
    "max_json_depth": [
        Met(too_deep, limits=Limits(max_json_depth=7)),
        Met(too_deep_in_a_body, limits=Limits(max_json_depth=8)),
    ],
    "max_batch_length": [
        Met(too_long_a_batch, limits=Limits(max_batch_length=3)),
        Met(too_long_a_batch_over_http, limits=Limits(max_batch_length=3)),
    ],
    "max_frame_fragments": [Met(too_many_fragments, limits=Limits(max_frame_fragments=3))],
    "max_id_bytes": [
        Met(too_long_an_id, limits=Limits(max_id_bytes=11)),
        Met(too_long_an_id_to_resume_from, limits=Limits(max_id_bytes=11)),
        Met(too_long_an_idempotency_key, limits=Limits(max_id_bytes=11)),
    ],
    "max_key_bytes": [Met(too_long_a_key, limits=Limits(max_key_bytes=11))],
    "max_subscriptions_per_connection": [
        Met(too_many_subscriptions, server=Server(max_subscriptions_per_connection=1))
    ],
    "handshake_timeout_ms": [
        Met(silence, server=HASTY),
        Met(half_a_head, server=HASTY),
        Met(half_a_body, server=HASTY),
        Met(no_connection_params, server=HASTY),
    ],
    "max_patterns": [
        Met(too_many_patterns, plugin={"events": {"max_patterns": 2}}),
        Met(too_many_patterns_in_history, plugin={"events": {"max_patterns": 2}}),
    ],
    "max_events_at_once": [Met(too_many_events_at_once, plugin={"events": {"max_events_at_once": 2}})],
    "max_keys": [Met(too_many_keys, plugin={"state": {"max_keys": 1}})],
    "max_entry_bytes": [Met(too_long_an_entry, plugin={"state": {"max_entry_bytes": 1024}})],
    "max_events_per_s": [
        Met(too_many_events_a_second, role=Role(publish=("**",), max_events_per_s=2)),
    ],
    "max_bytes_per_s": [Met(too_many_bytes_a_second, role=Role(publish=("**",), max_bytes_per_s=100))],
}
"""By the key's last name: how it is met."""

ONLY_NATIVE = {"max_frame_fragments"}
"""trio-websocket does not tell in how many frames a message has come."""


def everybody() -> Contribution:
    """Whoever comes has the role `guest`."""

    async def authenticate(credentials: Credentials) -> Principal:
        return Principal("somebody", roles=["guest"])

    return Contribution("everybody", authenticators=[Authenticator("everybody", authenticate)])


def configured(met: Met) -> tuple[Config, Sequence[Contribution]]:
    config = Config(server=evolve(met.server, port=0), limits=met.limits, plugin=met.plugin)
    if met.role is None:
        return config, ()
    return evolve(config, auth=Auth(roles={"guest": met.role})), [everybody()]


@pytest.mark.parametrize(
    ("limit", "met"),
    [
        pytest.param(limit, met, id=f"{limit}-{met.meet.__name__}")
        for limit, ways in LIMITS.items()
        for met in ways
    ],
)
async def test_whoever_meets_a_limit_is_refused_and_counted_and_others_are_served(
    limit: str, met: Met
) -> None:
    if limit in ONLY_NATIVE and hosting.websocket != "native":
        return
    config, contributions = configured(met)
    async with running_hub(config, *contributions) as hub:
        assert (await scraped(hub.port)).get(("ado_limit_hits_total", limit)) is None
        await met.meet(hub)
        counted = await scraped(hub.port)
        hits = {name[1]: value for name, value in counted.items() if name[0] == "ado_limit_hits_total"}
        assert hits == {limit: 1}
        async with open_peer(hub.url) as peer:
            await peer.is_served()


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────


def documented() -> set[str]:
    return set(re.findall(r"^\| `(?:\[[a-zA-Z.]+\] )?([a-z_]+)` \|", DOCS.read_text(), re.MULTILINE))


def test_every_limit_that_is_documented_is_met_here_and_the_other_way_round() -> None:
    assert documented() == LIMITS.keys() | {"outbox_bytes", "max_failures_per_minute"}
