"""What is measured of two hubs over one Valkey: what is published on the one is delivered by the other."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.errors import BenchError
from tests.bench.peers import ADOHUB, REDIS, Peer
from tests.bench.processes import Ledgers
from tests.bench.rig import FANOUT_UNITS, Figures, Rig, Scenario, Span, closed_loop


async def across(rig: Rig, peer: Peer) -> Figures:
    """Two hubs, a steady load published on the one: latency on the other."""
    span, ledgers = await _measured(
        rig, peer, rig.plan.steady_s, subscribers=1, rate=rig.plan.across_events_per_s
    )
    return {
        "events/s": span.events_per_s,
        "latency p50": span.after.p50,
        "latency p99": span.after.p99,
        "never delivered": ledgers.missing + ledgers.late,
    }


async def fanout_across(rig: Rig, peer: Peer) -> Figures:
    """Many subscribers on the one of two hubs to a task that is published on the other, closed loop.

    Beside it a single hub, in memory, with as many events on their way.
    """
    load = {"subscribers": rig.plan.fanout_subscribers, "window": rig.plan.across_window}
    if not _shares(peer):
        return _figures(await closed_loop(rig, peer, **load))
    span, ledgers = await _measured(rig, peer, rig.plan.measure_s, **load)
    if ledgers.missing or ledgers.repeated or ledgers.late:
        raise BenchError(f"not every event came once and in order: {ledgers}")
    return _figures(span)


def _figures(span: Span) -> Figures:
    return {
        "deliveries/s": span.deliveries_per_s,
        "server per delivery": span.server_us_per_delivery,
        **span.busy(),
    }


async def _measured(rig: Rig, peer: Peer, measure_s: float, **options: float | str) -> tuple[Span, Ledgers]:
    phases = {"warm": rig.plan.warm_s, "measure": measure_s}
    async with (
        rig.sharing(peer) as (one, other),
        rig.loading(other, phases, publish_port=one.port, **options) as load,
    ):
        await load.step("connected")
        span = Span(await load.step("warm"), await load.step("measure"))
        await load.step("drained")
        return span, await load.ledgers()


def _shares(peer: Peer) -> bool:
    return peer.name == REDIS.name


def _shares_or_is_alone(peer: Peer) -> bool:
    return peer.name in (ADOHUB.name, REDIS.name)


SCENARIOS: Sequence[Scenario] = (
    Scenario(
        "across",
        across,
        {"events/s": "", "latency p50": "ms", "latency p99": "ms", "never delivered": ""},
        suits=_shares,
    ),
    Scenario("fanout-across", fanout_across, FANOUT_UNITS, suits=_shares_or_is_alone),
)
