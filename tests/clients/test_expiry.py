"""A credential that expires under stock clients: a fresh one loses nothing, an old one gets nothing more."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Literal

import pytest
import trio
from attrs import define, field

from adohub import Authenticator, CredentialRefused, Credentials, PeerError, Principal
from adohub.config import Auth, Config, Server
from adohub.net import expiry
from adohub.plugin.registry import Contribution
from tests.clients.puppet import VERSIONS, Sub, Version, Via, puppet
from tests.running import Peer, RunningHub, completed, open_peer, progress, running_hub

V11 = Literal["v11", "v11.18"]
EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])
TASK = {"taskId": "t"}
QUICK = Config(server=Server(port=0), auth=Auth(reject_delay_ms=1000))
"""What is refused comes back no faster than that."""
FOR_GOOD = "for good"
PACE_S = 0.005
"""How often something is published, in seconds."""


@define
class Issuer:
    """Token "0" expires `lasts_s` after the first is shown, "1" as long after that, and so on.

    `shown` holds what was shown besides FOR_GOOD, and when.
    """

    lasts_s: float
    began: float = 0.0
    shown: list[tuple[float, str]] = field(factory=list)

    def expires_at(self, token: str) -> float:
        return self.began + self.lasts_s * (int(token) + 1)

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        token = credentials.get("token")
        if token == FOR_GOOD:
            return Principal("publisher", ["*"])
        if not isinstance(token, str):
            return None
        if not self.shown:
            self.began = time.time()
        self.shown.append((time.time(), token))
        if self.expires_at(token) <= time.time():
            raise CredentialRefused("expired", "this credential has expired")
        return Principal("subscriber", ["*"], expires_at=self.expires_at(token))

    @property
    def pauses_s(self) -> Sequence[float]:
        """How long it took each time until somebody came back."""
        return [after - before for (before, _), (after, _) in pairwise(self.shown)]


@asynccontextmanager
async def guarded(lasts_s: float) -> AsyncIterator[tuple[RunningHub, Peer, Issuer]]:
    """A hub, somebody who may publish for good, and who issues tokens."""
    issuer = Issuer(lasts_s)
    contribution = Contribution("issuer", authenticators=[Authenticator("issuer", issuer.authenticate)])
    async with running_hub(QUICK, contribution) as hub:
        async with open_peer(hub.url, headers={"Authorization": f"Bearer {FOR_GOOD}"}) as publisher:
            yield hub, publisher, issuer


@pytest.fixture
def short_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice is given also to those whose credential lasts a few seconds."""
    monkeypatch.setattr(expiry, "LEAST_NOTICE_S", 0.1)


async def publish_until(moment: float, publisher: Peer) -> int:
    """One event after the other, each with the next number, until then: how many."""
    number = 0
    while time.time() < moment:
        await publisher.publish("task.progress", progress("t", 1, str(number)))
        number += 1
        await trio.sleep(PACE_S)
    return number


def numbers_seen(sub: Sub) -> list[int]:
    return [int(event.get("data", event)["message"]) for event in sub.data]


def params(*tokens: str) -> list[dict[str, Any]]:
    return [{"token": token} for token in tokens]


def status(payload: str) -> dict[str, Any]:
    return {"type": "provider.status", "payload": payload}


# ── who has a fresh one ──────────────────────────────────────────────────────────────────────────────────


@EACH_VERSION
async def test_a_client_whose_url_shows_fresh_tokens_is_served_on(
    version: Version, short_notice: None
) -> None:
    """As version 10 has to do it: it has no connection params."""
    async with guarded(2.5) as (hub, publisher, issuer):
        async with puppet(version, hub.url, tokens=["0", "1", "2", "3"]) as client:
            sub = await client.subscribe("stream.onTaskProgress", {**TASK, "replay": "none"})
            await sub.until(lambda sub: "started" in sub.events)
            number = await publish_until(issuer.expires_at("1") + 0.5, publisher)
            await publisher.publish("task.completed", completed("t"))
            await sub.until(lambda sub: "complete" in sub.events)
            seen = numbers_seen(sub)
            assert seen == sorted(set(seen))
            assert len(seen) > 0.9 * number
            assert sub.errors == []
    assert [token for _, token in issuer.shown] == ["0", "1", "2"]


@EACH_V11
async def test_a_tracked_event_stream_behind_a_retry_link_misses_nothing(version: V11) -> None:
    async with guarded(2) as (hub, publisher, issuer):
        options: dict[str, Any] = {"connectionParams": params("0", "1", "2", "3"), "retries": 10}
        async with puppet(version, hub.url, "batch+sse", **options) as client:
            sub = await client.subscribe("tracked.onTaskProgress", TASK)
            await sub.until(lambda sub: "started" in sub.events)
            number = await publish_until(issuer.expires_at("1") + 0.5, publisher)
            await publisher.publish("task.completed", completed("t"))
            await sub.until(lambda sub: "complete" in sub.events)
            assert numbers_seen(sub) == list(range(number))
            assert sub.errors == []
    assert issuer.shown[-1][1] != "0"


# ── when it cannot be told ───────────────────────────────────────────────────────────────────────────────


@EACH_V11
@pytest.mark.parametrize("via", ["ws", "batch+sse"])
async def test_while_credentials_cannot_be_checked_clients_come_back_and_nothing_ends_for_good(
    version: V11, via: Via
) -> None:
    """As when an issuer's keys have not been fetched yet."""
    asked = 0

    async def authenticate(credentials: Credentials) -> Principal | None:
        nonlocal asked
        if credentials.get("token") != FOR_GOOD:
            return None
        asked += 1
        if asked < 3:
            raise PeerError("SERVICE_UNAVAILABLE", "the keys are not there; try again")
        return Principal("anna", ["*"])

    contribution = Contribution("issuer", authenticators=[Authenticator("issuer", authenticate)])
    async with running_hub(QUICK, contribution) as hub:
        async with puppet(version, hub.url, via, connectionParams={"token": FOR_GOOD}) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: "started" in sub.events and asked >= 3)
            async with open_peer(hub.url, headers={"Authorization": f"Bearer {FOR_GOOD}"}) as publisher:
                while not sub.data:  # `started` may be of an attempt over SSE that failed after it
                    await publisher.publish("system.provider.status", status("up"))
                    await trio.sleep(0.05)
            assert sub.errors == []
            assert {code for event, code in client.ws if event == "close"} <= {1013}


# ── who has an old one only ──────────────────────────────────────────────────────────────────────────────

STALE: Sequence[tuple[Version, dict[str, Any]]] = [
    ("v11", {"connectionParams": {"token": "0"}}),
    ("v11.18", {"connectionParams": {"token": "0"}}),
    ("v10", {"tokens": "0"}),
    ("v11", {"tokens": "0"}),
]


@pytest.mark.parametrize(("version", "options"), STALE)
async def test_a_client_that_has_only_the_old_one_sees_nothing_past_its_end_and_makes_no_storm(
    version: Version, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, since there is time; then it gets the end, and is refused: each time a second, no less."""
    monkeypatch.setattr(
        expiry, "LEAST_NOTICE_S", 0.5
    )  # of 5 s left there is notice, of what is left then none
    async with guarded(5) as (hub, publisher, issuer):
        async with puppet(version, hub.url, **options) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: "started" in sub.events)
            await publisher.publish("system.provider.status", status("before"))
            await sub.until(lambda sub: sub.data)
            await trio.sleep(issuer.expires_at("0") - time.time())
            in_time = len(issuer.shown)
            await trio.sleep(0.1)
            for _ in range(10):
                await publisher.publish("system.provider.status", status("after"))
                await trio.sleep(0.4)
            assert [event["payload"] for event in sub.data] == ["before"]
    assert in_time == 2
    assert 1 <= len(issuer.shown) - in_time <= 5
    assert min(issuer.pauses_s[in_time:]) > 0.9


@EACH_V11
async def test_an_event_stream_that_has_only_the_old_one_ends_there_with_the_reason(version: V11) -> None:
    async with guarded(1.5) as (hub, publisher, issuer):
        async with puppet(version, hub.url, "batch+sse", connectionParams={"token": "0"}) as client:
            sub = await client.subscribe("stream.onSystemEvent")
            await sub.until(lambda sub: "started" in sub.events)
            await publisher.publish("system.provider.status", status("before"))
            await sub.until(lambda sub: sub.data)
            await trio.sleep(issuer.expires_at("0") - time.time() + 0.05)
            await publisher.publish("system.provider.status", status("after"))
            await sub.until(lambda sub: sub.errors)
            assert [event["payload"] for event in sub.data] == ["before"]
            assert sub.errors[0]["message"] == "this credential has expired"
    assert len(issuer.shown) >= 2
