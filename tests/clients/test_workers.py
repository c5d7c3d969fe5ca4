"""Workers written with @trpc/client: present while they subscribe, over cuts and crashes of their hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from adohub.config import Config, Presence, Server
from tests.cli.processes import history, serving, sqlite_at
from tests.clients.puppet import VERSIONS, Sub, Version, Via, puppet
from tests.running import Peer, open_peer, running_hub
from tests.severing import severing_proxy

DEADLINE_S = 60
PATIENT = Config(server=Server(port=0), presence=Presence(grace_ms=60_000))
W1 = {"workerId": "w1"}


async def send(boss: Peer, *numbers: int) -> None:
    for number in numbers:
        await boss.mutate("workers.send", W1 | {"kind": "run", "payload": {"n": number}})


def commands(sub: Sub) -> list[int]:
    """The numbers of the commands it was given."""
    return [command["payload"]["n"] for command in sub.data]


async def started(sub: Sub, times: int = 1) -> None:
    await sub.until(lambda sub: sub.events.count("started") >= times)


async def is_away(boss: Peer) -> None:
    """Return once the hub has noticed that the worker is gone."""
    phase = ""
    while phase != "away":
        kept = await boss.query("events.history", {"topics": ["worker.presence"]})
        phase = kept["events"][-1]["payload"]["phase"]


def announced(events: list[dict[str, Any]]) -> list[str]:
    return [event["payload"]["type"] for event in events]


@pytest.mark.parametrize(
    ("version", "via"),
    [*((version, "ws") for version in VERSIONS), ("v11", "batch+sse"), ("v11.18", "batch+sse")],
)
async def test_a_worker_attends_is_listed_and_is_sent_commands(version: Version, via: Via) -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url) as boss:
        async with puppet(version, hub.url, via) as client:
            worker = await client.subscribe("workers.attend", W1 | {"capabilities": ["gpu"]})
            await started(worker)
            [listed] = (await client.query("workers.list"))["workers"]
            assert (listed["workerId"], listed["capabilities"], listed["metadata"]) == ("w1", ["gpu"], {})
            sent = await client.mutate("workers.send", W1 | {"kind": "run", "payload": {"n": 1}})
            await send(boss, 2)
            await worker.until(lambda sub: len(sub.data) >= 2)
            assert commands(worker) == [1, 2]
            assert worker.data[0]["commandId"] == sent["commandId"]
            assert worker.errors == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_sent_while_a_worker_is_cut_off_awaits_it(version: Version) -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url) as boss, severing_proxy(hub.port) as proxy:
        async with puppet(version, f"ws://127.0.0.1:{proxy.port}", retryDelayMs=50) as client:
            worker = await client.subscribe("workers.attend", W1)
            await started(worker)
            for round_ in range(3):
                await send(boss, 2 * round_)
                await worker.until(lambda sub: len(sub.data) > 2 * round_)  # noqa: B023 - in this round
                proxy.cut()
                if version == "v10":  # it sends no position, so what counts is what its hub knows
                    await is_away(boss)
                await send(boss, 2 * round_ + 1)
                await worker.until(lambda sub: len(sub.data) > 2 * round_ + 1)  # noqa: B023 - in this round
            assert commands(worker) == list(range(6))
            system = await boss.query("events.history", {"topics": ["system.**"]})
            assert announced(system["events"]) == ["worker.added"]


@pytest.mark.parametrize("version", ["v11", "v11.18"])
async def test_over_a_crash_of_its_hub_a_worker_misses_nothing_and_nobody_is_told(
    tmp_path: Path, version: Version
) -> None:
    toml = sqlite_at(tmp_path / "hub.db") + "\n[presence]\ngrace_ms = 60000\n"
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path, toml) as hub:
            port = hub.port
        async with puppet(version, f"ws://127.0.0.1:{port}", retryDelayMs=20) as client:
            worker = await client.subscribe("workers.attend", W1)
            for round_ in range(2):
                async with serving(tmp_path, toml, port=port) as hub, open_peer(hub.url) as boss:
                    await started(worker, round_ + 1)
                    await send(boss, round_)
                    await hub.kill()
            async with serving(tmp_path, toml, port=port) as hub, open_peer(hub.url) as boss:
                await started(worker, 3)
                await send(boss, 2)
                await worker.until(lambda sub: len(sub.data) >= 3)
                assert announced(await history(hub.url, "system.**")) == ["worker.added"]
            assert commands(worker) == [0, 1, 2]
            assert worker.errors == []


async def test_who_was_present_when_its_hub_crashed_and_stays_away_is_removed_by_the_next(
    tmp_path: Path,
) -> None:
    toml = sqlite_at(tmp_path / "hub.db") + "\n[presence]\ngrace_ms = 200\n"
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path, toml) as hub, open_peer(hub.url) as worker:
            await worker.subscribe(1, "workers.attend", W1)
            await hub.kill()
        async with serving(tmp_path, toml) as hub, open_peer(hub.url) as boss:
            await boss.subscribe("system", "stream.onSystemEvent", {"replay": "all"})
            types = [(await boss.hear())["result"]["data"]["type"] for _ in range(2)]
            assert types == ["worker.added", "worker.removed"]
            assert (await boss.query("workers.list"))["workers"] == []
