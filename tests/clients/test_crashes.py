"""A hub that is killed again and again: what it acknowledged is there, and its subscriber saw it, once."""

from __future__ import annotations

from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import trio

from tests.cli.processes import Hub, history, serving, sqlite_at
from tests.clients.publisher import TOPIC, Publisher
from tests.clients.puppet import puppet

DEADLINE_S = 300
ROUNDS = 20
MOST_ACKNOWLEDGED = 600
"""After so many acknowledgements at the latest a round ends."""


async def killed_while_publishing(hub: Hub, publisher: Publisher, acknowledged: int) -> None:
    """Publish at full speed; kill the hub as soon as so many were acknowledged."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish_until_it_breaks, hub.url)
        await publisher.until_acknowledged(acknowledged)
        await hub.kill()


async def free_port(folder: Path) -> str:
    async with serving(folder, sqlite_at(folder / "hub.db")) as hub:
        return hub.port


def serial(event: dict[str, Any]) -> int:
    return int(event["payload"]["message"])


def check(published: Publisher, kept: list[dict[str, Any]], seen: list[dict[str, Any]], told: str) -> None:
    """Nothing lost, nothing twice, nothing out of order, and nothing shown that is not kept."""
    ids = {serial(event): event["id"] for event in kept}
    assert len(ids) == len(kept), f"kept twice; {told}"
    assert published.acknowledged.items() <= ids.items(), f"acknowledged and not kept; {told}"
    in_order = [event["id"] for event in kept]
    assert in_order == sorted(set(in_order)), told
    assert list(ids) == sorted(ids), f"one publisher's events are out of order; {told}"
    assert [event["id"] for event in seen] == in_order, f"the subscriber saw something else; {told}"


async def test_twenty_times_killed_at_full_speed_a_hub_keeps_its_word(tmp_path: Path) -> None:
    toml = sqlite_at(tmp_path / "hub.db")
    seed = SystemRandom().randrange(2**32)
    chance, publisher = Random(seed), Publisher("t")
    with trio.fail_after(DEADLINE_S):
        port = await free_port(tmp_path)
        async with puppet("v11", f"ws://127.0.0.1:{port}", retryDelayMs=20) as client:
            sub = await client.subscribe("stream.onEvent", {"topics": [TOPIC], "replay": "all"})
            for _ in range(ROUNDS):
                async with serving(tmp_path, toml, port=port) as hub:
                    await killed_while_publishing(hub, publisher, chance.randint(1, MOST_ACKNOWLEDGED))
            async with serving(tmp_path, toml, port=port) as hub:
                kept = await history(hub.url, TOPIC)
                await sub.until(lambda sub: len(sub.data) >= len(kept))
                await client.query("hub.health")  # what was pushed before its answer has come
    assert len(publisher.acknowledged) >= ROUNDS
    assert sub.errors == []
    check(publisher, kept, sub.data, f"seed {seed}")
