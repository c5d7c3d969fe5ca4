"""A copy of the hub's state that a client keeps is right again after each crash, by resuming alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from tests.cli.processes import serving, sqlite_at
from tests.clients.puppet import Sub, puppet
from tests.running import Peer, open_peer

DEADLINE_S = 120
ROUNDS = 5


def copied(sub: Sub) -> dict[str, tuple[Any, int]]:
    """What who applies all that came has: value and revision by key."""
    copy: dict[str, tuple[Any, int]] = {}
    for change in sub.data:
        if change["op"] == "set":
            copy[change["key"]] = (change["value"], change["revision"])
        if change["op"] == "delete":
            copy.pop(change["key"], None)
    return copy


async def held(peer: Peer) -> dict[str, tuple[Any, int]]:
    listed = await peer.query("state.list", {"prefix": "tasks."})
    return {entry["key"]: (entry["value"], entry["revision"]) for entry in listed["entries"]}


async def change_some(peer: Peer, number: int) -> None:
    for key in ("a", "b", f"c{number}"):
        await peer.mutate("state.set", {"key": f"tasks.{key}", "value": {"round": number}})
    await peer.mutate("state.set", {"key": "others.x", "value": number})
    await peer.mutate("state.delete", {"key": f"tasks.c{number - 1}"})


async def test_a_copy_kept_by_a_stock_client_survives_crashes(tmp_path: Path) -> None:
    toml = sqlite_at(tmp_path / "hub.db")
    port = "0"
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path, toml) as hub, open_peer(hub.url) as peer:
            port = hub.port
            await change_some(peer, 0)
            await hub.kill()
        async with puppet("v11", f"ws://127.0.0.1:{port}", retryDelayMs=20) as client:
            sub = await client.subscribe("state.onChange", {"prefix": "tasks."})
            for number in range(1, ROUNDS):
                async with serving(tmp_path, toml, port=port) as hub, open_peer(hub.url) as peer:
                    await change_some(peer, number)
                    await hub.kill()
            async with serving(tmp_path, toml, port=port) as hub, open_peer(hub.url) as peer:
                last = await peer.mutate("state.set", {"key": "tasks.last", "value": None})
                await sub.until(lambda sub: sub.data and sub.data[-1]["revision"] == last["revision"])
                assert copied(sub) == await held(peer)
    assert [change["op"] for change in sub.data].count("synced") == 1
    assert sub.errors == []
    revisions = [change["revision"] for change in sub.data if change["op"] != "synced"]
    assert revisions == sorted(set(revisions))
