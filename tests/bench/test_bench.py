"""The benchmark runs: every scenario yields its figures. How large they are is not looked at."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import StringIO
from itertools import cycle
from pathlib import Path

import pytest
import trio
from attrs import define, evolve
from rich.console import Console
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from tests.bench import over_http
from tests.bench.goals import GOALS, HUB, Goal, Verdict
from tests.bench.machine import Cores
from tests.bench.peers import ADOHUB, C_LOOP, REDIS, Peer
from tests.bench.peers import PEERS as ALL_PEERS
from tests.bench.plan import TINY
from tests.bench.processes import Ledgers, Server
from tests.bench.report import Report
from tests.bench.results import Results, Round
from tests.bench.rig import Rig, Scenario
from tests.bench.run import measure
from tests.bench.scenarios import SCENARIOS

DEADLINE_S = 60

PEERS = (ADOHUB, C_LOOP, REDIS)


ON_WEBSOCKETS = [each for each in SCENARIOS if each not in over_http.SCENARIOS]


async def test_every_scenario_on_websockets_yields_its_figures(rig: Rig) -> None:
    taken: Round = {}
    swapped = evolve(rig, cores=Cores(server=rig.cores.load, load=rig.cores.server))

    async def take(scenario: Scenario, peer: Peer, rig: Rig) -> None:
        taken[scenario.name, peer.name] = await scenario.measure(rig, peer)

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            for scenario, placed in zip(ON_WEBSOCKETS, cycle([rig, swapped]), strict=False):
                for peer in filter(scenario.suits, PEERS):
                    nursery.start_soon(take, scenario, peer, placed)
    for scenario in ON_WEBSOCKETS:
        for peer in filter(scenario.suits, PEERS):
            figures = taken[scenario.name, peer.name]
            assert list(figures) == list(scenario.units), scenario.name
            assert all(value >= 0 for value in figures.values()), (scenario.name, figures)


async def test_a_run_ends_in_tables_and_json(rig: Rig) -> None:
    fanout = [each for each in SCENARIOS if each.name == "fanout"]
    with trio.fail_after(DEADLINE_S):
        results = await measure(rig, fanout, PEERS, lambda line: None)
    report = Report(TINY, PEERS, fanout, results, {"kernel": "Linux"}, ["a remark"])
    told = json.loads(json.dumps(report.as_json()))
    assert told["faults"] == []
    assert told["medians"]["fanout"]["adohub"]["deliveries/s"] > 0
    assert [goal["what"] for goal in told["goals"]] == [goal.what for goal in GOALS]

    page = report.as_markdown()
    for words in ("- kernel: Linux", "| deliveries/s |", "| adohub | c-loop |", "not measured"):
        assert words in page

    written = StringIO()
    report.print(Console(width=130, file=written))
    for words in ("kernel: Linux", "note: a remark", "deliveries/s", "c-loop", "not measured"):
        assert words in written.getvalue()


async def test_a_server_that_does_not_start_is_a_fault_and_no_figure(rig: Rig) -> None:
    broken = evolve(C_LOOP, command=lambda workshop, wishes: ["sh", "-c", "echo out of order; exit 3"])
    fanout = [each for each in SCENARIOS if each.name == "fanout"]
    with trio.fail_after(DEADLINE_S):
        results = await measure(rig, fanout, [broken], lambda line: None)
    assert results.rounds == [{}]
    assert results.faults == ["fanout of c-loop failed: c-loop did not start: out of order"]


@define(eq=False)
class CarelessServer:
    """Speaks the bare dialect, but loses the third event, and sends the fifth twice."""

    _subscriber: WebSocketConnection | None = None
    _number: int = 0

    async def serve(self, request: WebSocketRequest) -> None:
        connection = await request.accept()
        with suppress(ConnectionClosed):
            while True:
                await self._obey(connection, str(await connection.get_message()))

    async def _obey(self, connection: WebSocketConnection, message: str) -> None:
        if message.startswith("S"):
            self._subscriber = connection
        else:
            assert self._subscriber is not None
            self._number += 1
            for _ in range({3: 0, 5: 2}.get(self._number, 1)):
                await self._subscriber.send_message(message.partition(" ")[2])
        await connection.send_message("+")


async def test_the_load_generator_sees_what_is_lost_and_what_comes_twice(rig: Rig, tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            careless = await nursery.start(serve_websocket, CarelessServer().serve, "127.0.0.1", 0, None)
            server = Server(C_LOOP, os.getpid(), careless.port, tmp_path)
            async with rig.loading(server, {"measure": 0.2}, rate=100, retained=1000) as load:
                await load.step("connected")
                await load.step("measure")
                await load.step("drained")
                assert await load.ledgers() == Ledgers(missing=1, repeated=1, gaps=1, lost=1, late=0)
            nursery.cancel_scope.cancel()


# ── what figures come to ─────────────────────────────────────────────────────────────────────────────────


def _round(hub: float, other: float) -> Round:
    return {("fanout", HUB): {"deliveries/s": hub}, ("fanout", "trpc"): {"deliveries/s": other}}


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    results = Results([_round(100, 10), _round(90, 3), _round(80, 2), {}])
    assert results.median("fanout", HUB, "deliveries/s") == 90
    assert results.ratio("fanout", "deliveries/s", HUB, "trpc") == 30
    assert results.ratio("fanout", "deliveries/s", HUB, "nats") is None


@pytest.mark.parametrize(
    ("at_least", "value", "verdict"),
    [
        (True, 31, Verdict.STRETCH),
        (True, 20, Verdict.OK),
        (True, 19.9, Verdict.SHORT),
        (False, 20, Verdict.OK),
        (False, 20.1, Verdict.SHORT),
        (True, None, Verdict.UNKNOWN),
    ],
)
def test_a_goal_is_reached_or_not(at_least: bool, value: float | None, verdict: Verdict) -> None:
    goal = Goal("what", lambda results: value, at_least, 20, 30 if at_least else 10)
    assert goal.verdict(value) is verdict


def test_every_goal_measures_a_figure_that_its_scenario_takes() -> None:
    full: Round = {
        (scenario.name, peer.name): dict.fromkeys(scenario.units, 1.0)
        for scenario in SCENARIOS
        for peer in ALL_PEERS
    }
    for goal in GOALS:
        assert goal.measure(Results([full])) == 1
