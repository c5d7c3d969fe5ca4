"""What is measured: each scenario puts one kind of load on a fresh server, and gives its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from attrs import evolve

from tests.bench import over_http, together
from tests.bench.errors import BenchError
from tests.bench.machine import forget_peak, peak_resident_bytes, resident_bytes
from tests.bench.peers import ADOHUB, C_LOOP, ONE_COMMIT, REDIS, SLOW_TWIN, SQLITE, Peer
from tests.bench.processes import Server, output_of
from tests.bench.rig import FANOUT_UNITS, Figures, Rig, Scenario, closed_loop, measured

MEGABYTE = 1_000_000

FILL_S = 60
"""How long writing a history may take, in seconds."""


# ── the scenarios ────────────────────────────────────────────────────────────────────────────────────────


async def fanout(rig: Rig, peer: Peer) -> Figures:
    """Many subscribers to one task, closed loop."""
    plan = rig.plan
    span = await closed_loop(rig, peer, subscribers=plan.fanout_subscribers, window=plan.fanout_window)
    return {
        "deliveries/s": span.deliveries_per_s,
        "server per delivery": span.server_us_per_delivery,
        **span.busy(),
    }


async def steady(rig: Rig, peer: Peer) -> Figures:
    """A steady load: latency, and what a delivery costs."""
    plan = rig.plan
    span, ledgers = await measured(
        rig, peer, plan.steady_s, subscribers=plan.steady_subscribers, rate=plan.steady_events_per_s
    )
    return {
        "latency p50": span.after.p50,
        "latency p99": span.after.p99,
        "server per delivery": span.server_us_per_delivery,
        "never delivered": ledgers.missing + ledgers.late,
    }


async def tasks(rig: Rig, peer: Peer) -> Figures:
    """Tasks with one subscriber each, events round-robin."""
    many, few = [
        await closed_loop(rig, peer, subscribers=number, tasks=number, window=rig.plan.tasks_window)
        for number in (rig.plan.many_tasks, rig.plan.few_tasks)
    ]
    return {
        "events/s, many tasks": many.events_per_s,
        "events/s, few tasks": few.events_per_s,
        "server per event, many": many.server_us_per_delivery,
        "server per event, few": few.server_us_per_delivery,
    }


async def ceiling(rig: Rig, peer: Peer) -> Figures:
    """What the load generator can receive, from a server that sends much at a time."""
    plan = rig.plan
    span = await closed_loop(rig, peer, subscribers=plan.ceiling_subscribers, window=plan.ceiling_window)
    return {"received/s": span.deliveries_per_s, **span.busy()}


async def ingest(rig: Rig, peer: Peer) -> Figures:
    """One publisher, one subscriber."""
    span = await closed_loop(rig, peer, window=rig.plan.ingest_window)
    return {"publishes/s": span.events_per_s, "server per event": span.server_us_per_delivery}


async def many(rig: Rig, peer: Peer) -> Figures:
    """The same with many events in each message."""
    batch = rig.plan.batch
    span = await closed_loop(rig, peer, batch=batch, window=batch * rig.plan.batches_window)
    return {"events/s": span.events_per_s, "server per event": span.server_us_per_delivery}


async def memory(rig: Rig, peer: Peer) -> Figures:
    """Idle subscribers, each to a task of its own."""
    number = rig.plan.idle_connections
    async with rig.serving(peer) as server:
        before = resident_bytes(server.pid)
        async with rig.loading(server, subscribers=number, tasks=number) as load:
            await load.step("connected")
            after = await _settled(server.pid, rig.plan.settle_s)
    return {"per connection": (after - before) / number}


async def _settled(pid: int, at_most_s: float) -> int:
    """The process's memory once it has not changed by a hundredth for a second."""
    held, since = resident_bytes(pid), trio.current_time()
    with trio.move_on_after(at_most_s):
        while trio.current_time() < since + 1:
            await trio.sleep(0.1)
            now = resident_bytes(pid)
            if abs(now - held) > held / 100:
                held, since = now, trio.current_time()
    return resident_bytes(pid)


async def connect(rig: Rig, peer: Peer) -> Figures:
    """Clients connect and subscribe."""
    number = rig.plan.idle_connections
    async with rig.serving(peer) as server, rig.loading(server, subscribers=number, tasks=number) as load:
        step = await load.step("connected")
    return {"seconds": step.seconds}


async def slow(rig: Rig, peer: Peer) -> Figures:
    """One subscriber stops reading, and reads again.

    Storage is full before it stops, so that the hub's growth afterwards is what the slow one costs.
    Keep-alive is off: it would drop a client that is silent for so long.
    """
    plan = rig.plan
    filling_s = plan.slow_retained / plan.slow_events_per_s
    phases = {
        "warm": filling_s,
        "before": plan.slow_before_s,
        "stalled": plan.slow_stalled_s,
        "after": plan.slow_after_s,
    }
    options = {
        "subscribers": plan.slow_others + 1,
        "rate": plan.slow_events_per_s,
        "bytes": plan.slow_event_bytes,
        "retained": plan.slow_retained,
    }
    async with (
        rig.serving(peer, max_events=plan.slow_retained, keepalive=False) as server,
        rig.loading(server, phases, **options) as load,
    ):
        await load.step("connected")
        await load.step("warm")
        before = await load.step("before")
        held = resident_bytes(server.pid)
        forget_peak(server.pid)
        stalled = await load.step("stalled")
        await load.step("after")
        await load.step("drained")
        ledgers = await load.ledgers()
        growth = peak_resident_bytes(server.pid) - held
    return {
        "hub grows by": growth / MEGABYTE,
        "others' p99 before": before.p99,
        "others' p99 meanwhile": stalled.p99,
        "fell out of storage": ledgers.missing - ledgers.lost,
        "wrongly lost, repeated, late": ledgers.lost + ledgers.repeated + ledgers.late,
    }


async def durable(rig: Rig, peer: Peer) -> Figures:
    """One publisher, each event acknowledged once it is kept."""
    if peer.name == ONE_COMMIT.name:
        return await _one_by_one(rig, peer)
    span = await closed_loop(rig, peer, window=rig.plan.durable_window)
    return {"acknowledged/s": span.events_per_s, "p99": span.after.answer_p99}


async def _one_by_one(rig: Rig, peer: Peer) -> Figures:
    plan, workshop = rig.plan, rig.workshop
    with TemporaryDirectory(dir=workshop.folder) as folder:
        command = peer.command(evolve(workshop, folder=Path(folder)), rig.wishes)
        words = [*command, str(plan.measure_s), str(plan.event_bytes)]
        figures: Figures = json.loads(await output_of(words, rig.cores.server))
        return figures


async def replay(rig: Rig, peer: Peer) -> Figures:
    """A long history is replayed, to one client and to many at once, who ask for it again and again."""
    async with rig.serving(peer, max_events=2 * rig.plan.replay_events) as server:
        await _fill(rig, server)
        one, many = [await _replayed(rig, server, clients) for clients in (1, rig.plan.replay_clients)]
        before = await _p99_of_others(rig, server, task=1)
        async with trio.open_nursery() as nursery:
            await nursery.start(_replay_again_and_again, rig, server)
            meanwhile = await _p99_of_others(rig, server, task=2)
            nursery.cancel_scope.cancel()
    return {
        "events/s to one": one,
        "events/s to many": many,
        "others' p99 before": before,
        "others' p99 meanwhile": meanwhile,
    }


async def _p99_of_others(rig: Rig, server: Server, task: int) -> float:
    """The latency of live events of `task`, which is new, to some who replay nothing."""
    plan = rig.plan
    phases = {"warm": plan.replay_warm_s, "measure": plan.replay_others_s}
    others = {"subscribers": plan.replay_others, "rate": plan.replay_rate, "first_task": task}
    async with rig.loading(server, phases, **others) as load:
        for step in ("connected", "warm"):
            await load.step(step)
        return (await load.step("measure")).p99


async def _fill(rig: Rig, server: Server) -> None:
    plan = rig.plan
    options = {"batch": plan.batch, "window": plan.batch * plan.batches_window, "events": plan.replay_events}
    async with rig.loading(server, {"fill": FILL_S}, **options) as load:
        for step in ("connected", "fill", "drained"):
            await load.step(step)
        ledgers = await load.ledgers()
    if ledgers.missing or ledgers.late:
        raise BenchError(f"the history could not be written: {ledgers}")


async def _replayed(
    rig: Rig, server: Server, clients: int, connected: Callable[[], None] = lambda: None
) -> float:
    """How many events a second so many clients were given together, until each had all of them."""
    async with rig.replaying(server, clients) as load:
        await load.step("connected")
        connected()
        step = await load.step("replayed")
        ledgers = await load.ledgers()
    if ledgers.missing or ledgers.repeated or ledgers.late:
        raise BenchError(f"not every event came once and in order: {ledgers}")
    return rig.plan.replay_events * clients / step.seconds


async def _replay_again_and_again(
    rig: Rig, server: Server, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    await _replayed(rig, server, rig.plan.replay_clients, task_status.started)
    while True:
        await _replayed(rig, server, rig.plan.replay_clients)


def _everybody(peer: Peer) -> bool:
    """All that deliver in a way of their own: `sqlite` is adohub, and `one-commit` is no server."""
    return peer.name not in (SQLITE.name, REDIS.name, ONE_COMMIT.name)


def _and_redis(suits: Callable[[Peer], bool]) -> Callable[[Peer], bool]:
    """Where events pass through a server of their own."""
    return lambda peer: peer.name == REDIS.name or suits(peer)


def _nearly_everybody(peer: Peer) -> bool:
    """The slow twin differs from adohub in its fan-out alone."""
    return _everybody(peer) and peer.name != SLOW_TWIN.name


SCENARIOS: Sequence[Scenario] = (
    Scenario("fanout", fanout, FANOUT_UNITS, suits=_and_redis(_everybody)),
    Scenario(
        "ceiling",
        ceiling,
        {"received/s": "", "server core": "%", "load core": "%"},
        suits=lambda peer: peer.name == C_LOOP.name,
    ),
    Scenario(
        "steady",
        steady,
        {"latency p50": "ms", "latency p99": "ms", "server per delivery": "µs", "never delivered": ""},
        suits=_everybody,
    ),
    Scenario(
        "tasks",
        tasks,
        {
            "events/s, many tasks": "",
            "events/s, few tasks": "",
            "server per event, many": "µs",
            "server per event, few": "µs",
        },
        suits=_nearly_everybody,
    ),
    Scenario(
        "ingest", ingest, {"publishes/s": "", "server per event": "µs"}, suits=_and_redis(_nearly_everybody)
    ),
    Scenario(
        "many",
        many,
        {"events/s": "", "server per event": "µs"},
        suits=_and_redis(lambda peer: peer.dialect != "bare" and _nearly_everybody(peer)),
    ),
    Scenario(
        "durable",
        durable,
        {"acknowledged/s": "", "p99": "ms"},
        suits=lambda peer: peer.name in (ADOHUB.name, SQLITE.name, ONE_COMMIT.name),
    ),
    Scenario(
        "replay",
        replay,
        {
            "events/s to one": "",
            "events/s to many": "",
            "others' p99 before": "ms",
            "others' p99 meanwhile": "ms",
        },
        suits=lambda peer: peer.name in (ADOHUB.name, SQLITE.name),
    ),
    *over_http.SCENARIOS,
    *together.SCENARIOS,
    Scenario("memory", memory, {"per connection": "B"}, suits=_nearly_everybody),
    Scenario("connect", connect, {"seconds": "s"}, suits=_nearly_everybody),
    Scenario(
        "slow",
        slow,
        {
            "hub grows by": "MB",
            "others' p99 before": "ms",
            "others' p99 meanwhile": "ms",
            "fell out of storage": "",
            "wrongly lost, repeated, late": "",
        },
        suits=lambda peer: peer.name == ADOHUB.name,
    ),
)
