"""Hubs that are killed at random, and clients that move between them: all see one order, each event once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import trio
from adohub_redis.testing import valkey

from tests.clients.puppet import puppet
from tests.cluster.hubs import Member, cluster, crossroads
from tests.cluster.witness import EVERYTHING, Author, Watcher, Witness, acknowledged, epochs
from tests.severing import Proxy

ROUNDS = 8
MOST_ACKNOWLEDGED = 100
"""After so many acknowledgements at the latest a round ends."""


async def upset(hubs: Sequence[Member], roads: Proxy, authors: Sequence[Author], chance: Random) -> None:
    """Kill hubs, or two at once, start them again, and send all clients elsewhere."""
    for _ in range(ROUNDS):
        await chance.choice(authors).until_acknowledged(chance.randint(1, MOST_ACKNOWLEDGED))
        fallen = chance.sample(hubs, chance.choice([0, 1, 1, 1, 2]))
        for hub in fallen:
            await hub.kill()
        roads.cut()
        if chance.random() < 0.5:
            await chance.choice(authors).until_acknowledged(chance.randint(1, MOST_ACKNOWLEDGED))
        for hub in fallen:
            await hub.start()


async def test_three_hubs_killed_at_random_are_one_to_whoever_moves_between_them(
    tmp_path: Path, chance: Random
) -> None:
    witness = Witness()
    watchers = [Watcher(witness) for _ in range(3)]
    authors = [Author(name, chance) for name in "abc"]
    async with (
        valkey(tmp_path / "valkey") as server,
        cluster(tmp_path, *3 * [server.url]) as hubs,
        crossroads(hubs, chance) as roads,
        puppet("v11", f"ws://127.0.0.1:{roads.port}", retryDelayMs=20) as stock,
        trio.open_nursery() as nursery,
    ):
        url = f"ws://127.0.0.1:{roads.port}"
        sub = await stock.subscribe("stream.onEvent", EVERYTHING)
        for watcher in watchers:
            await nursery.start(watcher.watch, url)
        async with trio.open_nursery() as writing:
            for author in authors:
                writing.start_soon(author.write, url)
            await upset(hubs, roads, authors, chance)
            for author in authors:
                author.finish()
        ids = await witness.history(hubs)
        witness.check_once(ids, acknowledged(authors))
        assert len(epochs(ids)) == 1
        for watcher in watchers:
            await watcher.until_caught_up(ids)
            assert watcher.ids == ids
        await sub.until(lambda sub: len(sub.data) >= len(ids))
        assert list(map(witness.saw, sub.data)) == ids
        assert sub.errors == []
        nursery.cancel_scope.cancel()
