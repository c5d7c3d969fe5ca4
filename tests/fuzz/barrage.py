"""Spoiled WebSocket frames for a hub that runs, from 20 connections at a time, while another peer is served.

    python -m tests.fuzz.barrage [--frames 100000] [--seed N] [--websocket native trio-websocket] [--heavy]

prints what came of it, and fails if a law is broken: no fault is logged, every frame is answered or ends its
connection, nobody else is kept waiting, and afterwards the hub holds what it held before. The same is a test,
with fewer frames.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import define, evolve, field, frozen

from adohub.process import SPARE_HEAP_BYTES
from tests.bench.machine import processor_seconds, resident_bytes
from tests.cli.processes import Hub, running, serving
from tests.fuzz.assailants import Tally
from tests.net import raw
from tests.running import Peer, open_peer, progress

WARM_UP_FRAMES = 50_000
"""Until the heap is as large as it gets: the hub keeps what it has freed at hand (SPARE_HEAP_BYTES)."""

STALL_S = 0.1
"""How long a turn of the hub's event loop may be, in which it serves nobody else, and another may wait."""

HEAVY_WAIT_S = 0.25
"""The same with heavy frames, for another's publish and its event, which take several turns."""

GROWTH_BYTES = SPARE_HEAP_BYTES
"""How much more memory the process may hold: what it keeps, though nothing is in it, differs by so much."""

GROWTH_OF_BLOCKS = 0.05
"""How many more blocks may be in use, as a share: of tables that are bounded, but fill slowly."""

PROBE_S = 0.01
"""How often the other peer asks to be served, in seconds."""

SETTLED_S = 30.0
"""How long the hub may take to let go of what has gone."""

SHOWN_FAULTS = 20
HOSTS = ("native", "trio-websocket")
SUMMARY = "Send spoiled frames to a hub, and see that nobody else notices and nothing is left."

CONFIG = f"""
[server]
websocket = "{{websocket}}"
[storage]
max_events = 100
idempotency_window_s = 1
[presence]
grace_ms = 100
[plugin.state]
max_keys = 20
[plugin.workers]
max_workers = 20
[plugins]
directories = ["{Path(__file__).with_name("insides")}"]
strict = true
"""
"""What a hub is asked to keep is little, so that it is full when the base is taken."""


@frozen
class Holdings:
    """What a hub holds."""

    memory: int
    blocks: int
    tasks: int
    descriptors: int
    threads: int


@define
class Waits:
    """How long the other peer waited for each answer, in seconds."""

    all_s: list[float] = field(factory=list)

    @property
    def longest_s(self) -> float:
        return max(self.all_s, default=0.0)

    def share_s(self, share: float) -> float:
        """How long so many of them were at most."""
        return sorted(self.all_s)[int(len(self.all_s) * share)]


@frozen
class Outcome:
    """What came of a barrage: `core` is the hub's share of one, `turn_s` its longest turn (see `insides`).

    At the `start` nobody had attacked; `before` and `after` are those of the frames that count.
    """

    tally: Tally
    seconds: float
    core: float
    waits: Waits
    turn_s: float
    turn_cpu_s: float
    start: Holdings
    before: Holdings
    after: Holdings
    faults: Sequence[str]
    understood: int

    @property
    def held(self) -> Sequence[Holdings]:
        """All that it has held."""
        return self.start, self.before, self.after

    def broken(
        self, *, stall_s: float = STALL_S, wait_s: float = STALL_S, growth_bytes: int = GROWTH_BYTES
    ) -> list[str]:
        """The laws that do not hold."""
        before, after = self.before, self.after
        laws = {
            "a fault is logged": not self.faults,
            "the hub said nothing": not self.tally.silent,
            f"a turn took {milliseconds(self.turn_s)}": self.turn_s <= stall_s,
            f"another waited {milliseconds(self.waits.longest_s)}": self.waits.longest_s <= wait_s,
            "there is more memory": after.memory <= before.memory + growth_bytes,
            "there are more blocks in use": after.blocks <= before.blocks * (1 + GROWTH_OF_BLOCKS),
            "there are more tasks": after.tasks <= before.tasks,
            "there are more descriptors": after.descriptors <= before.descriptors,
            "there are more threads": after.threads <= before.threads,
        }
        return [broken for broken, holds in laws.items() if not holds]


async def outlived(
    websocket: str, frames: int, seed: int, *, heavy: bool = False, warm_up: int = WARM_UP_FRAMES
) -> Outcome:
    """Send `frames` spoiled frames to a hub of its own, after some to warm it up."""
    toml = CONFIG.format(websocket=websocket)
    deadline_s = 120 + (warm_up + frames) / 100
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), toml, deadline_s=deadline_s) as hub, watching(hub) as watch:
            start = await watch.holdings()
            await assailed(hub, warm_up, seed, first=10**9, heavy=heavy)
            before = least(start, await watch.settled(start))
            understood = await watch.understood()
            await watch.insides()  # forgets the longest turn
            pid, waits = hub.run.process.pid, Waits()
            began, used = trio.current_time(), processor_seconds(pid)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(probe, watch.peer, waits)
                tally = await assailed(hub, frames, seed, first=0, heavy=heavy)
                nursery.cancel_scope.cancel()
            seconds, used = trio.current_time() - began, processor_seconds(pid) - used
            told = await watch.insides()
            after = await watch.settled(before)
            return Outcome(
                tally=tally,
                seconds=seconds,
                core=used / seconds,
                waits=waits,
                turn_s=told["turn_s"],
                turn_cpu_s=told["turn_cpu_s"],
                start=start,
                before=before,
                after=after,
                faults=faults(hub),
                understood=await watch.understood() - understood,
            )


async def probe(peer: Peer, waits: Waits) -> None:
    """Publish, and hear of it; how long that takes is noted, also when it is cut short."""
    while True:
        began = trio.current_time()
        try:
            await peer.publish("task.progress", progress("probe", 1))
            await peer.answer_to("probe")
        finally:
            waits.all_s.append(trio.current_time() - began)
        await trio.sleep(PROBE_S)


async def assailed(hub: Hub, frames: int, seed: int, *, first: int, heavy: bool) -> Tally:
    """Let another process attack."""
    program = (sys.executable, "-m", "tests.fuzz.assailants")
    asked = map(str, (hub.port, frames, seed, first, int(heavy)))
    repository = Path(__file__).parents[2]
    async with running(*asked, program=program, cwd=repository, deadline_s=math.inf) as process:
        ended = await process.ended()
    assert ended.status == 0, ended.err
    return Tally(**json.loads(ended.out))


# ── what a hub holds, and says ───────────────────────────────────────────────────────────────────────────


@frozen
class Watch:
    """What can be known of a hub by who was there before: `peer` has subscribed to what it will publish."""

    hub: Hub
    peer: Peer

    async def settled(self, base: Holdings) -> Holdings:
        """What the hub holds once it is no more than `base` but for memory, or after SETTLED_S."""
        held = await self.holdings()
        with trio.move_on_after(SETTLED_S):
            while (
                held.tasks > base.tasks or held.descriptors > base.descriptors or held.threads > base.threads
            ):
                await trio.sleep(0.05)  # nothing tells of it
                held = await self.holdings()
        return held

    async def holdings(self) -> Holdings:
        """What the hub holds now."""
        pid = self.hub.run.process.pid
        told = await self.insides()
        return Holdings(
            memory=resident_bytes(pid),
            blocks=int(told["blocks"]),
            tasks=int(told["tasks"]),
            descriptors=int(told["descriptors"]),
            threads=int(told["threads"]),
        )

    async def insides(self) -> Mapping[str, float]:
        """What the plugin in `tests/fuzz/insides` tells."""
        told: Mapping[str, float] = json.loads(await self._page("/insides"))
        return told

    async def understood(self) -> int:
        """How many messages the hub has read, by its own count."""
        text = (await self._page("/metrics")).decode()
        found = re.search(r"^ado_ws_messages_in_total (\S+)$", text, re.MULTILINE)
        assert found
        return int(float(found[1]))

    async def _page(self, target: str) -> bytes:
        response = await raw.exchange(int(self.hub.port), raw.head(target))
        assert response is not None
        assert response.status == 200
        return response.body


def least(start: Holdings, warm: Holdings) -> Holdings:
    """What has to be held again: of `warm` what fills up, of the rest no more than at the `start`."""
    return evolve(
        warm,
        tasks=min(start.tasks, warm.tasks),
        descriptors=min(start.descriptors, warm.descriptors),
        threads=min(start.threads, warm.threads),
    )


@asynccontextmanager
async def watching(hub: Hub) -> AsyncIterator[Watch]:
    """A watch whose peer is there from the beginning to the end."""
    async with open_peer(hub.url) as peer:
        await peer.subscribe("probe", "stream.onTaskProgress", {"taskId": "probe", "replay": "none"})
        yield Watch(hub, peer)


def faults(hub: Hub) -> Sequence[str]:
    """Lines of its log that tell of a fault, or are none of the log's."""
    return [line for line in hub.run.err.splitlines() if is_fault(line)]


def is_fault(line: str) -> bool:
    """Whether a line of the log tells of a fault, or is none of the log's own, such as a traceback's."""
    try:
        said = json.loads(line)
    except ValueError:
        return True
    return said.get("level") not in ("debug", "info", "warning") or "exception" in said


# ── the program ──────────────────────────────────────────────────────────────────────────────────────────


def report(websocket: str, found: Outcome, broken: Sequence[str]) -> str:
    """The figures, for people."""
    tally, waits = found.tally, found.waits
    figures = {
        "connections": f"{tally.connections:,}, {tally.closed:,} closed and {tally.ended:,} ended by the hub,"
        f" {tally.silent} left without an answer",
        "messages understood": f"{found.understood:,}",
        "the hub's share of a core": f"{100 * found.core:.0f} %",
        "another waited at most": f"{milliseconds(waits.longest_s)} (p99 {milliseconds(waits.share_s(0.99))},"
        f" median {milliseconds(waits.share_s(0.5))}, {len(waits.all_s):,} times)",
        "longest turn": f"{milliseconds(found.turn_s)}, {milliseconds(found.turn_cpu_s)} of the processor",
        "memory": over_time(*(f"{held.memory / 2**20:.1f} MiB" for held in found.held)),
        "blocks in use": over_time(*(f"{held.blocks:,}" for held in found.held)),
        "tasks": over_time(*(held.tasks for held in found.held)),
        "descriptors": over_time(*(held.descriptors for held in found.held)),
        "threads": over_time(*(held.threads for held in found.held)),
        "faults in the log": f"{len(found.faults)}",
    }
    lines = [f"{websocket}: {tally.frames:,} spoiled frames in {found.seconds:.0f} s"]
    lines += [f"{name}: {figure}" for name, figure in figures.items()]
    lines += [f"BROKEN: {law}" for law in broken]
    return "\n  ".join([*lines, *found.faults[:SHOWN_FAULTS]]) + "\n"


def over_time(start: object, before: object, after: object) -> str:
    return f"{start} at the start, {before} before, {after} after"


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def main() -> int:
    """Returns the exit status: 1 if a law is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.barrage", description=SUMMARY)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--websocket", nargs="+", choices=HOSTS, default=HOSTS)
    parser.add_argument("--heavy", action="store_true", help="some frames of up to a megabyte, too")
    asked = parser.parse_args()
    wait_s = HEAVY_WAIT_S if asked.heavy else STALL_S
    failed = False
    for websocket in asked.websocket:
        outcome = trio.run(partial(outlived, websocket, asked.frames, asked.seed, heavy=asked.heavy))
        broken = outcome.broken(wait_s=wait_s)
        sys.stdout.write(report(websocket, outcome, broken))
        sys.stdout.flush()
        failed = failed or bool(broken)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
