"""What is measured over HTTP: calls, one at a time on each connection, and server-sent events."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.errors import BenchError
from tests.bench.peers import ADOHUB, TRPC, TRPC_GENERATORS, Peer
from tests.bench.rig import FANOUT_UNITS, Figures, Rig, Scenario, Span, closed_loop


async def queries(rig: Rig, peer: Peer) -> Figures:
    """HTTP queries, `hub.health`, one at a time on each of many connections."""
    return await _calls(rig, peer, "query")


async def mutations(rig: Rig, peer: Peer) -> Figures:
    """HTTP mutations, `events.publish`, in the same way."""
    return await _calls(rig, peer, "mutation")


async def _calls(rig: Rig, peer: Peer, dialect: str) -> Figures:
    plan = rig.plan
    phases = {"warm": plan.calls_warm_s, "measure": plan.measure_s}
    async with (
        rig.serving(peer) as server,
        rig.loading(server, phases, dialect=dialect, callers=plan.callers) as load,
    ):
        await load.step("connected")
        span = Span(await load.step("warm"), await load.step("measure"))
        end = await load.step("drained")
    if end.acknowledged != end.sent:
        raise BenchError(f"{end.sent} requests, {end.acknowledged} answers")
    if not span.events_per_s:
        raise BenchError("nothing was answered")
    return {
        "requests/s": span.events_per_s,
        "server per request": span.server_us_per_event,
        "p99": span.after.answer_p99,
        **span.busy(),
    }


async def server_sent(rig: Rig, peer: Peer) -> Figures:
    """Many subscribers to one task by server-sent events, closed loop."""
    plan = rig.plan
    span = await closed_loop(
        rig,
        peer,
        measure_s=plan.sse_s,
        dialect="sse",
        subscribers=plan.fanout_subscribers,
        window=plan.sse_window,
    )
    return {
        "deliveries/s": span.deliveries_per_s,
        "server per delivery": span.server_us_per_delivery,
        **span.busy(),
    }


def _answers_calls(peer: Peer) -> bool:
    """adohub's other forms and trpc's differ in what they do with events, not with calls."""
    return peer.name in (ADOHUB.name, TRPC.name)


def _sends_events(peer: Peer) -> bool:
    return _answers_calls(peer) or peer.name == TRPC_GENERATORS.name


CALL_UNITS = {"requests/s": "", "server per request": "µs", "p99": "ms", "server core": "%", "load core": "%"}

SCENARIOS: Sequence[Scenario] = (
    Scenario("queries", queries, CALL_UNITS, suits=_answers_calls),
    Scenario("mutations", mutations, CALL_UNITS, suits=_answers_calls),
    Scenario("sse", server_sent, FANOUT_UNITS, suits=_sends_events),
)
