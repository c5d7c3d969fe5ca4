"""A credential that expires: told in time, silent from then on, ended at last; and no going in circles."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from trio.testing import MockClock

from adohub import Authenticator, Credentials, Principal
from adohub.config import Auth, Config, Server
from adohub.errors import Goodbye
from adohub.metrics import Metrics
from adohub.net import expiry as expiries
from adohub.net.expiry import LEAST_NOTICE_S, LOOK_AGAIN_S, Expiry
from adohub.net.session import CALLS_IN_FLIGHT
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.strangers import Patience, strangers
from tests.net.test_metrics import scraped
from tests.running import open_peer, progress, request, running_hub, until

# ── the steps, in virtual time ───────────────────────────────────────────────────────────────────────────


@define(eq=False)
class Connection:
    """What was done to it, and when; with `busy` it does not end by itself."""

    expiry: Expiry
    busy: bool = False
    log: list[tuple[str, float]] = field(factory=list)

    def leave(self, goodbye: Goodbye) -> None:
        self._note("leave")

    def expire(self) -> None:
        self._note("expire")

    def drop(self, goodbye: Goodbye) -> None:
        self._note("drop")

    def _note(self, step: str) -> None:
        self.log.append((step, trio.current_time()))
        if not self.busy:
            self.expiry.forget(self)

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.log]


def played(play: Callable[[Expiry], Any], *, ahead: Callable[[], float] = lambda: 0.0) -> Any:
    """What `play` gives, with a clock that is trio's."""

    async def main() -> Any:
        metrics = Metrics()
        expiry = Expiry(Auth(), metrics, lambda: trio.current_time() + ahead())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expiry.run)
            result = await play(expiry)
            nursery.cancel_scope.cancel()
        return result

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def test_it_is_told_some_time_before_then_silent_then_ended() -> None:
    async def play(expiry: Expiry) -> list[tuple[str, float]]:
        connection = Connection(expiry, busy=True)
        began = trio.current_time()
        expiry.watch(connection, began + 100)
        await trio.sleep(200)
        return [(step, at - began) for step, at in connection.log]

    (first, noticed), (second, expired), (third, ended) = played(play)
    assert (first, second, third) == ("leave", "expire", "drop")
    assert 90 <= noticed <= 95
    assert expired == pytest.approx(100)
    assert ended == pytest.approx(105)


def test_nobody_who_left_in_time_hears_of_it_again() -> None:
    async def play(expiry: Expiry) -> list[str]:
        connection = Connection(expiry)
        expiry.watch(connection, trio.current_time() + 100)
        await trio.sleep(200)
        return connection.steps

    assert played(play) == ["leave"]


def test_a_principal_for_good_is_not_watched() -> None:
    async def play(expiry: Expiry) -> list[str]:
        connection = Connection(expiry)
        expiry.watch(connection, None)
        await trio.sleep(10_000)
        return connection.steps

    assert played(play) == []


def test_those_that_expire_together_are_not_told_all_at_once() -> None:
    async def play(expiry: Expiry) -> set[float]:
        crowd = [Connection(expiry) for _ in range(100)]
        for connection in crowd:
            expiry.watch(connection, trio.current_time() + 100)
        await trio.sleep(200)
        return {at for connection in crowd for _, at in connection.log}

    assert len(played(play)) == 100


def test_who_comes_back_with_the_old_one_does_so_no_more_than_once_a_second() -> None:
    async def play(expiry: Expiry) -> list[float]:
        expires_at = trio.current_time() + 3600
        times = []
        while trio.current_time() < expires_at:
            connection = Connection(expiry)
            times.append(trio.current_time())
            expiry.watch(connection, expires_at)
            while not connection.log:  # noqa: ASYNC110 - virtual time
                await trio.sleep(0.1)
        return times

    times = played(play)
    assert len(times) < 6
    assert min(after - before for before, after in pairwise(times)) >= LEAST_NOTICE_S


def test_a_clock_that_is_set_forward_is_noticed() -> None:
    ahead = [0.0]

    async def play(expiry: Expiry) -> float:
        connection = Connection(expiry)
        expiry.watch(connection, trio.current_time() + 36_000)
        await trio.sleep(1)
        ahead[0] = 36_000
        began = trio.current_time()
        while not connection.log:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.1)
        return trio.current_time() - began

    assert played(play, ahead=lambda: ahead[0]) <= LOOK_AGAIN_S


def test_a_sooner_one_is_seen_to_though_a_later_one_is_waited_for() -> None:
    async def play(expiry: Expiry) -> list[str]:
        late, soon = Connection(expiry), Connection(expiry)
        expiry.watch(late, trio.current_time() + 29)
        await trio.sleep(1)
        expiry.watch(soon, trio.current_time() + 2)
        await trio.sleep(3)
        return [*soon.steps, *late.steps]

    assert played(play) == ["expire"]


def test_of_connections_that_came_and_went_nothing_stays_behind() -> None:
    async def play(expiry: Expiry) -> int:
        for _ in range(10_000):
            connection = Connection(expiry)
            expiry.watch(connection, trio.current_time() + 36_000)
            expiry.forget(connection)
        return len(expiry._steps)

    assert played(play) < 200


# ── a hub ────────────────────────────────────────────────────────────────────────────────────────────────

QUICK = Config(server=Server(port=0), auth=Auth(expiry_notice_ms=0, expiry_grace_ms=300))


def issuer(for_s: float) -> Contribution:
    """Lets in whoever shows "good", for so long from then on; "old" has expired, "odd" is until no time."""
    lasts_s = {"good": for_s, "lasting": 3600, "old": -12, "odd": math.nan}

    async def authenticate(credentials: Credentials) -> Principal | None:
        token = credentials.get("token")
        return (
            Principal("guest", ["*"], expires_at=time.time() + lasts_s[token]) if token in lasts_s else None
        )

    return Contribution("issuer", authenticators=[Authenticator("issuer", authenticate)])


GOOD = {"Authorization": "Bearer good"}


async def test_after_it_has_expired_nothing_is_delivered_and_the_connection_is_closed() -> None:
    async with running_hub(QUICK, issuer(0.7)) as hub, open_peer(hub.url, headers=GOOD) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        event_id = await peer.publish("task.progress", progress("t", 1))
        assert (await peer.answer_to(1))["result"]["id"] == event_id
        assert await peer.closed() == (1008, "the credential has expired")
        assert (await scraped(hub.port))["ado_auth_expired_total", ""] == 1


async def test_a_call_in_flight_may_end_within_the_grace_and_no_other_begins() -> None:
    patience = Patience()
    patient = evolve(QUICK, auth=evolve(QUICK.auth, expiry_grace_ms=20_000))
    async with running_hub(patient, issuer(0.5), strangers(patience)) as hub:
        async with open_peer(hub.url, headers=GOOD) as peer:
            await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t", "replay": "none"})
            await peer.tell(request(2, "query", "test.wait"))
            await trio.sleep(0.7)
            event = {"topic": "task.progress", "payload": progress("t", 1)}
            await peer.tell(request(3, "mutation", "events.publish", event))
            patience.let_go.set()
            assert await peer.heard_before_close() == [{"id": 2, "result": {"type": "data", "data": 1}}]


async def test_what_waited_for_its_turn_when_the_credential_expired_does_not_begin() -> None:
    patience = Patience()
    patient = evolve(QUICK, auth=evolve(QUICK.auth, expiry_grace_ms=20_000))
    async with running_hub(patient, issuer(0.5), strangers(patience)) as hub:
        async with open_peer(hub.url, headers=GOOD) as peer:
            for number in range(CALLS_IN_FLIGHT):
                await peer.tell(request(number, "query", "test.wait"))
            await peer.tell(request("late", "subscription", "stream.onSystemEvent"))
            await until(lambda: patience.begun == CALLS_IN_FLIGHT)
            await trio.sleep(0.7)
            patience.let_go.set()
            heard = await peer.heard_before_close()
            assert {answer["id"] for answer in heard} == set(range(CALLS_IN_FLIGHT))


async def test_a_call_that_never_ends_is_cut_after_the_grace() -> None:
    async with running_hub(QUICK, issuer(0.3), strangers(Patience())) as hub:
        async with open_peer(hub.url, headers=GOOD) as peer:
            await peer.tell(request(2, "query", "test.wait"))
            assert (await peer.closed())[0] == 1008


async def test_it_is_told_before_if_there_is_time() -> None:
    config = evolve(QUICK, auth=Auth(expiry_notice_ms=60_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiries, "LEAST_NOTICE_S", 0.1)
        async with running_hub(config, issuer(3)) as hub, open_peer(hub.url, headers=GOOD) as peer:
            code, reason = await peer.closed()
            assert (code, "expire" in reason) == (1012, True)


async def test_who_was_told_before_and_stayed_for_a_call_is_cut_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiries, "LEAST_NOTICE_S", 0.1)
    config = evolve(QUICK, auth=evolve(QUICK.auth, expiry_notice_ms=60_000))
    async with running_hub(config, issuer(1), strangers(Patience())) as hub:
        async with open_peer(hub.url, headers=GOOD) as peer:
            await peer.tell(request(1, "query", "test.wait"))
            assert await peer.closed() == (1008, "the credential has expired")
        assert (await scraped(hub.port))["ado_auth_expired_total", ""] == 1


SUBSCRIPTION = raw.text(request(1, "subscription", "stream.onEvent", {"topics": ["**"]}))
STREAM = "/trpc/stream.onEvent?input=%7B%22topics%22%3A%5B%22**%22%5D%7D"
LARGE, NUMBER = "x" * 4096, 50
"""More than the system takes for a peer, and less than the hub queues for it."""


@pytest.mark.parametrize("kind", ["WebSocket", "event stream"])
async def test_what_a_slow_peer_has_not_read_by_then_it_does_not_get(kind: str) -> None:
    """But for what the system has under way to it already."""
    async with running_hub(QUICK, issuer(1.5)) as hub:
        with trio.socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await slow.connect(("127.0.0.1", hub.port))
            stream = trio.SocketStream(slow)
            headers = {"Host": "hub", "Accept": "text/event-stream", **GOOD}
            begin = raw.upgrade("/?token=good") if kind == "WebSocket" else raw.head(STREAM, headers)
            await stream.send_all(begin)
            await stream.receive_some(1000)
            if kind == "WebSocket":
                await stream.send_all(SUBSCRIPTION)
            async with open_peer(hub.url, headers={"Authorization": "Bearer lasting"}) as publisher:
                for number in range(NUMBER):
                    await publisher.publish("task.progress", progress("t", 1, f"{LARGE}{number}."))
                while (await scraped(hub.port))["ado_auth_expired_total", ""] == 0:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            received = await raw.read_to_end(stream)
    assert LARGE.encode() in received
    assert f"{LARGE}{NUMBER - 1}.".encode() not in received


async def test_a_request_that_is_whole_only_when_it_has_expired_is_not_carried_out() -> None:
    body = json.dumps({"topic": "task.progress", "payload": progress("t", 1)}).encode()
    headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": str(len(body)), **GOOD}
    async with running_hub(QUICK, issuer(0.4)) as hub, await raw.connected(hub.port) as stream:
        await stream.send_all(raw.head("/trpc/events.publish", headers, method="POST") + body[:-1])
        await trio.sleep(0.6)
        await stream.send_all(body[-1:])
        await raw.end(stream)
        response = raw.response(await raw.read_to_end(stream))
        assert response is not None
        assert response.status == 401
        assert ("ado_hub_events_total", "task.progress") not in await scraped(hub.port)


async def test_an_event_stream_ends_without_a_word() -> None:
    async with running_hub(QUICK, issuer(0.5)) as hub, await raw.connected(hub.port) as stream:
        headers = {"Host": "hub", "Accept": "text/event-stream", **GOOD}
        await stream.send_all(raw.head("/trpc/stream.onSystemEvent", headers))
        received = await raw.read_to_end(stream)
        assert b"event: connected" in received
        assert b"error" not in received


@pytest.mark.parametrize("token", ["old", "odd"])
async def test_one_that_has_expired_already_is_refused_and_told_so(token: str) -> None:
    async with running_hub(QUICK, issuer(1)) as hub:
        response = await raw.exchange(hub.port, raw.upgrade(f"/?token={token}"))
        assert response is not None
        assert response.status == 401
        assert b"this credential has expired" in response.body
