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

SETTLE_S = 30.0
"""How long the program lets a crowd spread itself, in seconds."""

RATE_S = 0.01
"""How often the healthy client publishes, in seconds."""


@frozen
class Storm:
    """What a crowd did to a hub.

    `attempts_per_s` are of one client. `core` is the share of a core that the hub takes for the crowd alone,
    `p99_s` how long 99 of 100 events of a healthy client took at most, in seconds. `elsewhere_p99_s` is the
    same while such a crowd is at another hub on this machine: what its own work costs its neighbours.
    """

    attempts_per_s: float
    core: float
    p99_s: float
    elsewhere_p99_s: float
    served_newcomers: int


async def storm(
    version: Version, shown: SHOWN, *, clients: int, seconds: float, settle_s: float = 0.0
) -> Storm:
    """Let `clients` come to a hub in a process of its own, and look on for two times `seconds`.

    That begins `settle_s` after each of them was refused for the first time: all have come at one moment.
    """
    deadline_s = 200 + 8 * seconds + 2 * settle_s
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        async with (
            serving(Path(one), TOML, deadline_s=deadline_s) as hub,
            serving(Path(other), TOML, deadline_s=deadline_s) as neighbour,
            healthy(hub) as peer,
        ):
            async with crowd(version, shown, neighbour, clients):
                await trio.sleep(settle_s)
                elsewhere = await latencies(peer, seconds)
            async with crowd(version, shown, hub, clients) as counting:
                await trio.sleep(settle_s)
                pid = hub.run.process.pid
                began, used = trio.current_time(), processor_seconds(pid)
                await asked(counting)
                await trio.sleep(seconds)
                core = (processor_seconds(pid) - used) / (trio.current_time() - began)
                here = await latencies(peer, seconds)
                newcomers = await served_newcomers(hub)
                counted, took = await asked(counting), trio.current_time() - began
    return Storm(
        attempts_per_s=counted["attempts"] / clients / took,
        core=core,
        p99_s=percentile(here),
        elsewhere_p99_s=percentile(elsewhere),
        served_newcomers=newcomers,
    )


Counting = tuple[trio.abc.SendStream, trio.abc.ReceiveStream]


@asynccontextmanager
async def crowd(version: Version, shown: SHOWN, hub: Hub, clients: int) -> AsyncIterator[Counting]:
    """So many clients at `hub`, once each has been refused."""
    url = f"{hub.url}/?token={BAD.replace(' ', '%20')}" if shown == "in the URL" else hub.url
    params = [BAD] if shown == "as params" else []
    async with node("crowd.mjs", version, str(clients), url, *params) as counting:
        seen = 0
        while seen < clients:
            seen += (await asked(counting))["attempts"]
            await trio.sleep(0.1)
        yield counting


async def served_newcomers(hub: Hub) -> int:
    """How many of five newcomers were served."""
    served = 0
    for _ in range(5):
        async with healthy(hub) as newcomer:
            await newcomer.is_served()
            served += 1
    return served


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


async def asked(counting: Counting) -> dict[str, int]:
    stdin, stdout = counting
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
        found = await storm(version, shown, clients=clients, seconds=seconds, settle_s=SETTLE_S)
        sys.stdout.write(
            f"{version:6} {shown:10} {found.attempts_per_s:.2f} attempts/s each,"
            f" {100 * found.core:.1f} % of a core,"
            f" p99 {1000 * found.p99_s:.1f} ms ({1000 * found.elsewhere_p99_s:.1f} ms if it is elsewhere),"
            f" {found.served_newcomers} newcomers served\n"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    raise_descriptor_limit()
    trio.run(main, given.clients, given.seconds)
