"""Connections cut at any byte, a thousand times: @trpc/client 11 misses nothing and gets nothing twice."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from random import Random, SystemRandom

import pytest
import trio

from tests.cli.processes import progress, serving, sqlite_at
from tests.clients.publisher import TOPIC
from tests.clients.puppet import Version, puppet
from tests.running import open_peer
from tests.severing import Proxy, severing_proxy

DEADLINE_S = 300
CUTS = 1000
MOST_BYTES = 12_000
"""A connection carries at most so many bytes: some break off in their handshake, most deliver a little."""

EVENTS_PER_S, BATCH = 1000, 10


async def publish_until_all_is_cut(url: str, proxy: Proxy) -> list[str]:
    """Publish at a steady rate for as long as connections are cut; the ids in the order of publishing."""
    ids: list[str] = []
    began = trio.current_time()
    async with open_peer(url) as peer:
        for number in count(1):
            events = [
                {"topic": TOPIC, "payload": progress("t", 1, str(len(ids) + at))} for at in range(BATCH)
            ]
            ids += (await peer.mutate("events.publishMany", {"events": events}))["ids"]
            if proxy.cuts >= CUTS:
                break
            await trio.sleep_until(began + number * BATCH / EVENTS_PER_S)
    return ids


@pytest.mark.parametrize("version", ["v11", "v11.18"])
async def test_over_a_thousand_cuts_each_event_is_seen_once_in_order(
    version: Version, tmp_path: Path
) -> None:
    seed = SystemRandom().randrange(2**32)
    chance = Random(seed)
    cutting = (chance.randint(0, MOST_BYTES) for _ in count())

    def allowance() -> int | None:
        return next(cutting) if proxy.cuts < CUTS else None

    toml = sqlite_at(tmp_path / "hub.db")
    async with serving(tmp_path, toml, deadline_s=DEADLINE_S) as hub:
        async with severing_proxy(int(hub.port), allowance) as proxy:
            async with puppet(version, f"ws://127.0.0.1:{proxy.port}", retryDelayMs=0) as client:
                sub = await client.subscribe("stream.onEvent", {"topics": [TOPIC], "replay": "all"})
                ids = await publish_until_all_is_cut(hub.url, proxy)
                await sub.until(lambda sub: len(sub.log) >= len(ids) and len(sub.data) >= len(ids))
                await client.query("hub.health")  # what was pushed before its answer has come
    assert [event["id"] for event in sub.data] == ids, f"seed {seed}"
    assert sub.errors == []
