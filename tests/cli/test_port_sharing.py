"""Hubs that share a port: the system spreads clients over them, and one that is gone leaves none alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import trio

from adohub.client import connect
from tests.cli.processes import DEADLINE_S, Hub, serving

SHARING = "[server]\nreuse_port = true\n"
MANY = 40
"""So many connections that all meet the same of two hubs once in 2**39 times."""


async def instance(url: str) -> str:
    """Which hub answers there, on a connection of its own."""
    async with connect(url) as client:
        return str((await client.query("hub.health"))["instance"])


async def met(hub: Hub) -> Counter[str]:
    """Which hubs many connections meet, and how often."""
    with trio.fail_after(DEADLINE_S):
        return Counter([await instance(hub.url) for _ in range(MANY)])


async def test_each_of_two_hubs_gets_clients_and_one_is_enough(tmp_path: Path) -> None:
    async with serving(tmp_path, SHARING) as one:
        (first,) = await met(one)
        async with serving(tmp_path, SHARING, port=one.port) as other:
            assert other.port == one.port
            spread = await met(one)
            assert len(spread) == 2
            assert first in spread
            await one.kill()
            (left,) = await met(other)
            assert {first, left} == set(spread)


async def test_hubs_are_restarted_one_by_one_and_nobody_is_turned_away(tmp_path: Path) -> None:
    async with serving(tmp_path, SHARING) as old, serving(tmp_path, SHARING, port=old.port) as staying:
        before = set(await met(old))
        assert (await old.stop()).status == 0
        (left,) = await met(staying)
        async with serving(tmp_path, SHARING, port=old.port):
            after = set(await met(staying))
    assert before & after == {left}
    assert len(after) == 2
