"""Workers over either transport: present once they are told that they are, and for as long as they stay."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from adohub.config import Config, Presence, Server
from tests.net.listening import listening
from tests.running import Peer, Refused, open_peer, request, running_hub

PATIENT = Config(server=Server(port=0))
HASTY = Config(server=Server(port=0), presence=Presence(grace_ms=0))
W1 = {"workerId": "w1"}


async def send(boss: Peer, number: int) -> None:
    await boss.mutate("workers.send", W1 | {"kind": "run", "payload": number})


async def listed(boss: Peer) -> list[str]:
    return [worker["workerId"] for worker in (await boss.query("workers.list"))["workers"]]


async def heard(peer: Peer) -> Any:
    """What the next event holds."""
    return (await peer.hear())["result"]["data"]


async def test_who_is_told_that_it_has_started_is_present() -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url) as boss, open_peer(hub.url) as worker:
        for number in range(20):
            await worker.subscribe(number, "workers.attend", {"workerId": f"w{number}"})
            await boss.mutate("workers.send", {"workerId": f"w{number}", "kind": "run", "payload": number})
            assert (await heard(worker))["payload"] == number


async def test_commands_sent_one_after_the_other_arrive_so() -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url) as boss, open_peer(hub.url) as worker:
        await worker.subscribe(1, "workers.attend", W1)
        for number in range(50):
            await boss.tell(
                request(number, "mutation", "workers.send", W1 | {"kind": "run", "payload": number})
            )
        assert [(await heard(worker))["payload"] for _ in range(50)] == list(range(50))


async def test_who_stops_or_is_gone_is_removed() -> None:
    async with running_hub(HASTY) as hub, open_peer(hub.url) as boss:
        await boss.subscribe("system", "stream.onSystemEvent")
        async with open_peer(hub.url) as worker:
            await worker.subscribe(1, "workers.attend", W1)
            assert (await heard(boss))["type"] == "worker.added"
            answer = await worker.ask({"id": 1, "method": "subscription.stop"})
            assert answer["result"]["type"] == "stopped"
            assert (await heard(boss))["type"] == "worker.removed"
            await worker.subscribe(1, "workers.attend", W1)
            assert (await heard(boss))["type"] == "worker.added"
        assert (await heard(boss))["type"] == "worker.removed"
        assert await listed(boss) == []


async def test_a_stop_before_it_has_arrived_is_a_stop_and_the_id_is_free_again() -> None:
    async with running_hub(HASTY) as hub, open_peer(hub.url) as boss, open_peer(hub.url) as worker:
        await worker.tell(
            [
                request(1, "subscription", "workers.attend", W1),
                {"id": 1, "method": "subscription.stop"},
                request(1, "subscription", "workers.attend", {"workerId": "w2"}),
            ]
        )
        results = [message["result"]["type"] for message in await worker.hear_all(2)]
        assert results == ["stopped", "started"]
        while await listed(boss) != ["w2"]:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.001)


async def test_the_older_of_two_is_told_of_the_conflict_and_its_connection_lives_on() -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url) as first, open_peer(hub.url) as second:
        await first.subscribe(1, "workers.attend", W1)
        await second.subscribe(1, "workers.attend", W1)
        refusal = await first.hear()
        assert (refusal["id"], refusal["error"]["data"]["code"]) == (1, "CONFLICT")
        await first.is_served()
        with pytest.raises(Refused) as refused:
            await first.mutate("workers.send", {"workerId": "w2", "kind": "run", "payload": None})
        assert refused.value.code == "NOT_FOUND"


async def test_over_server_sent_events_a_worker_is_present_just_so() -> None:
    async with running_hub(HASTY) as hub, open_peer(hub.url) as boss:
        async with listening(hub.port, "workers.attend", W1) as worker:
            assert (await worker.hear())[0] == "connected"
            assert await listed(boss) == ["w1"]
            await send(boss, 1)
            assert (await worker.data())["payload"] == 1
        while await listed(boss):  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.001)


async def test_over_server_sent_events_a_worker_is_told_of_a_conflict_too() -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url) as second:
        async with listening(hub.port, "workers.attend", W1) as first:
            await second.subscribe(1, "workers.attend", W1)
            assert [name for name, _ in await first.rest()][-1] == "serialized-error"
