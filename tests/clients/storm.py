"""A crowd of stock clients whose credential is refused: how often they come back, and what that costs.

    python -m tests.clients.storm [--clients 1000] [--seconds 20]

prints the figures for every version and every way to show a token. The same is a test, with fewer clients.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import orjson
import trio
from attrs import frozen

from tests.bench.machine import processor_seconds, raise_descriptor_limit
from tests.cli.processes import Hub, progress, serving
from tests.clients.puppet import Version, node
from tests.running import Peer, open_peer

GOOD, BAD = "a token that is let in", "one that is not"

TOML = f"""
[[auth.tokens]]
name = "healthy"
sha256 = "{hashlib.sha256(GOOD.encode()).hexdigest()}"
roles = ["worker"]
[auth.roles.worker]
publish = ["task.**"]
subscribe = ["**"]
"""

SHOWN = Literal["in the URL", "as params"]

WAYS: tuple[tuple[Version, SHOWN], ...] = (
    ("v10", "in the URL"),
    ("v11", "in the URL"),
    ("v11", "as params"),
    ("v11.18", "as params"),
)
"""Version 10 has no connection params."""

RATE_S = 0.01
"""How often the healthy client publishes, in seconds."""


@frozen
class Storm:
    """What a crowd did to a hub, and what the same time was like before.

    `attempts_per_s` are of one client. `core` is the hub's share of a core, `p99_s` how long 99 of 100 events
    of a healthy client took at most, in seconds.
    """

    attempts_per_s: float
    core: float
    quiet_core: float
    p99_s: float
    quiet_p99_s: float
    served_newcomers: int


async def storm(version: Version, shown: SHOWN, *, clients: int, seconds: float) -> Storm:
    """Let `clients` come to a hub in a process of its own, and look on for `seconds` once all were there."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), TOML, deadline_s=120 + 3 * seconds) as hub, healthy(hub) as peer:
            pid = hub.run.process.pid
            began, used = trio.current_time(), processor_seconds(pid)
            quiet = await latencies(peer, seconds)
            quiet_core = (processor_seconds(pid) - used) / (trio.current_time() - began)
            url = f"{hub.url}/?token={BAD.replace(' ', '%20')}" if shown == "in the URL" else hub.url
            params = [BAD] if shown == "as params" else []
            async with node("crowd.mjs", version, str(clients), url, *params) as crowd:
                seen = 0
                while seen < clients:  # until each has been refused once
                    seen += (await asked(crowd))["attempts"]
                    await trio.sleep(0.1)
                began, used = trio.current_time(), processor_seconds(pid)
                await asked(crowd)
                stormy = await latencies(peer, seconds)
                newcomers = 0
                for _ in range(5):
                    async with healthy(hub) as newcomer:
                        await newcomer.is_served()
                        newcomers += 1
                counted, took = await asked(crowd), trio.current_time() - began
                busy = processor_seconds(pid) - used
    return Storm(
        attempts_per_s=counted["attempts"] / clients / took,
        core=busy / took,
        quiet_core=quiet_core,
        p99_s=percentile(stormy),
        quiet_p99_s=percentile(quiet),
        served_newcomers=newcomers,
    )


@asynccontextmanager
async def healthy(hub: Hub) -> AsyncIterator[Peer]:
    async with open_peer(hub.url, headers={"Authorization": f"Bearer {GOOD}"}) as peer:
        yield peer


async def latencies(peer: Peer, seconds: float) -> list[float]:
    """How long each event took from here to here, one every RATE_S."""
    await peer.subscribe("probe", "stream.onTaskProgress", {"taskId": "probe", "replay": "none"})
    found: list[float] = []
    end = trio.current_time() + seconds
    while (began := trio.current_time()) < end:
        await peer.publish("task.progress", progress("probe", 1))
        await peer.answer_to("probe")
        found.append(trio.current_time() - began)
        await trio.sleep(RATE_S)
    await peer.ask({"id": "probe", "method": "subscription.stop"})
    return found


async def asked(crowd: tuple[trio.abc.SendStream, trio.abc.ReceiveStream]) -> dict[str, int]:
    stdin, stdout = crowd
    await stdin.send_all(b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        answer += await stdout.receive_some()
    counted: dict[str, int] = orjson.loads(answer)
    return counted


def percentile(values: list[float], share: float = 0.99) -> float:
    return sorted(values)[int(len(values) * share)]


async def main(clients: int, seconds: float) -> None:
    for version, shown in WAYS:
        found = await storm(version, shown, clients=clients, seconds=seconds)
        sys.stdout.write(
            f"{version:6} {shown:10} {found.attempts_per_s:.2f} attempts/s each,"
            f" {100 * found.core:.1f} % of a core ({100 * found.quiet_core:.1f} % without),"
            f" p99 {1000 * found.p99_s:.1f} ms ({1000 * found.quiet_p99_s:.1f} ms without),"
            f" {found.served_newcomers} newcomers served\n"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    raise_descriptor_limit()
    trio.run(main, given.clients, given.seconds)
