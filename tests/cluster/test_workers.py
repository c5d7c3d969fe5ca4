"""Workers of three hubs over one Valkey: found wherever they are, announced as gone once when a hub dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio
from adohub_redis.testing import valkey

from tests.cli.processes import Hub, history, serving
from tests.clients.puppet import puppet
from tests.running import Peer, open_peer

DEADLINE_S = 60
WORKERS = 20


@asynccontextmanager
async def three_hubs(folder: Path, *, grace_ms: int) -> AsyncIterator[list[Hub]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(valkey(folder))
        toml = f"""
            [storage]
            engine = "redis"
            [storage.redis]
            url = "{server.url}"
            [presence]
            grace_ms = {grace_ms}
        """
        places = [folder / f"hub{number}" for number in range(3)]
        for place in places:
            place.mkdir()
        yield [await stack.enter_async_context(serving(place, toml)) for place in places]


async def send(boss: Peer, worker: str, number: int) -> None:
    await boss.mutate("workers.send", {"workerId": worker, "kind": "run", "payload": number})


async def announced(hub: Hub) -> Counter[str]:
    """How often each thing was announced of each worker: `worker.added w1`."""
    events = await history(hub.url, "system.**")
    return Counter(f"{one['payload']['type']} {one['payload']['payload']['workerId']}" for one in events)


async def test_a_worker_is_found_through_any_hub_as_soon_as_it_has_started(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with three_hubs(tmp_path, grace_ms=60_000) as [a, b, _]:
            async with open_peer(a.url) as boss, open_peer(b.url) as worker:
                for number in range(WORKERS):
                    await worker.subscribe(number, "workers.attend", {"workerId": f"w{number}"})
                    await send(boss, f"w{number}", number)
                    assert (await worker.hear())["result"]["data"]["payload"] == number


async def test_the_workers_of_a_killed_hub_are_removed_once_but_for_those_that_moved(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with three_hubs(tmp_path, grace_ms=2_000) as [a, b, c]:
            async with open_peer(a.url) as boss, open_peer(b.url) as worker, open_peer(c.url) as moved:
                for number in range(WORKERS):
                    await worker.subscribe(number, "workers.attend", {"workerId": f"w{number}"})
                await b.kill()
                await send(boss, "w0", 0)
                await moved.subscribe(0, "workers.attend", {"workerId": "w0"})
                assert (await moved.hear())["result"]["data"]["payload"] == 0
                everybody = {f"worker.added w{number}" for number in range(WORKERS)}
                everybody |= {f"worker.removed w{number}" for number in range(1, WORKERS)}
                while set(told := await announced(a)) < everybody:  # noqa: ASYNC110 - nothing tells of it
                    await trio.sleep(0.1)
                assert told == Counter(everybody)
                listed = (await boss.query("workers.list"))["workers"]
                assert [one["workerId"] for one in listed] == ["w0"]


async def test_a_client_that_moves_from_hub_to_hub_gets_each_command_once(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with three_hubs(tmp_path, grace_ms=60_000) as hubs, open_peer(hubs[0].url) as boss:
            seen: list[int] = []
            for number in range(6):
                async with puppet("v11", hubs[number % 3].url) as client:
                    worker = await client.subscribe("workers.attend", {"workerId": "w1"})
                    await worker.until(lambda sub: "started" in sub.events)
                    if number:  # what came while it was nowhere
                        await worker.until(lambda sub: len(sub.data) >= 1)
                    await send(boss, "w1", 2 * number)
                    await worker.until(lambda sub: len(sub.data) >= (2 if number else 1))  # noqa: B023 - now
                    seen += [command["payload"] for command in worker.data]
                    await client.unsubscribe(worker)
                await send(boss, "w1", 2 * number + 1)
            assert seen == list(range(11))
            assert await announced(hubs[0]) == Counter(["worker.added w1"])
