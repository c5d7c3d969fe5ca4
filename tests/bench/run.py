"""One run: rounds of all scenarios, in which the peers take turns."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

import trio

from tests.bench.errors import BenchError
from tests.bench.peers import Peer
from tests.bench.results import Results, Round
from tests.bench.rig import Rig, Scenario

Say = Callable[[str], None]


async def measure(rig: Rig, scenarios: Sequence[Scenario], peers: Sequence[Peer], say: Say) -> Results:
    """All rounds; SIGTERM or SIGINT leave it at what is measured by then, with a word on it in `faults`."""
    results = Results()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_break_off_when_told, nursery.cancel_scope, results)
        for number in range(rig.plan.rounds):
            first = number % len(peers)
            results.rounds.append({})
            say(f"round {number + 1} of {rig.plan.rounds}")
            await _round(rig, scenarios, [*peers[first:], *peers[:first]], results, say)
        nursery.cancel_scope.cancel()
    return results


async def _round(
    rig: Rig, scenarios: Sequence[Scenario], peers: Sequence[Peer], results: Results, say: Say
) -> None:
    figures: Round = results.rounds[-1]
    for scenario in scenarios:
        for peer in filter(scenario.suits, peers):
            say(f"  {scenario.name}: {peer.name}")
            try:
                figures[scenario.name, peer.name] = await scenario.measure(rig, peer)
            except BenchError as error:
                results.faults.append(f"{scenario.name} of {peer.name} failed: {error}")
                say(f"    {error}")


async def _break_off_when_told(scope: trio.CancelScope, results: Results) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async for number in received:
            results.faults.append(f"broken off by {signal.Signals(number).name}")
            scope.cancel()
