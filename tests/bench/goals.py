"""What adohub has set itself: ratios to its peers within one run, and whether they were reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from attrs import frozen

from tests.bench.results import Results

HUB = "adohub"
DURABLE = "sqlite"
"""adohub with its SQLite engine."""

SHARED = "redis"
"""adohub with its events in Valkey."""

Measure = Callable[[Results], float | None]


class Verdict(Enum):
    """How a goal stands."""

    STRETCH = "stretch"
    OK = "ok"
    SHORT = "short"
    UNKNOWN = "not measured"


@frozen
class Goal:
    """A figure that shall be at least (or else at most) `bound`, better still `stretch`."""

    what: str
    measure: Measure
    at_least: bool
    bound: float
    stretch: float | None = None
    unit: str = "x"

    def verdict(self, value: float | None) -> Verdict:
        """How a goal stands with this value."""
        if value is None:
            return Verdict.UNKNOWN
        if self.stretch is not None and self._reaches(value, self.stretch):
            return Verdict.STRETCH
        return Verdict.OK if self._reaches(value, self.bound) else Verdict.SHORT

    def _reaches(self, value: float, bound: float) -> bool:
        return value >= bound if self.at_least else value <= bound


def _against(peer: str, scenario: str, figure: str, hub: str = HUB) -> Measure:
    return lambda results: results.ratio(scenario, figure, hub, peer)


def _within(scenario: str, figure: str, since: str, peer: str = HUB) -> Measure:
    return lambda results: results.growth(scenario, peer, figure, since)


def _itself(scenario: str, figure: str, peer: str = HUB) -> Measure:
    return lambda results: results.median(scenario, peer, figure)


GOALS: Sequence[Goal] = (
    Goal("deliveries/s to trpc's", _against("trpc", "fanout", "deliveries/s"), True, 20, 30),
    Goal("deliveries/s to nats'", _against("nats", "fanout", "deliveries/s"), True, 1.2, 1.5),
    Goal("deliveries/s to the C loop's", _against("c-loop", "fanout", "deliveries/s"), True, 0.7, 0.9),
    Goal(
        "server time per delivery to the C loop's",
        _against("c-loop", "steady", "server per delivery"),
        False,
        1.5,
        1.3,
    ),
    Goal("p99 latency to the C loop's", _against("c-loop", "steady", "latency p99"), False, 2, 1.5),
    Goal("p99 latency", _itself("steady", "latency p99"), False, 5, unit="ms"),
    Goal("events/s over many tasks to trpc's", _against("trpc", "tasks", "events/s, many tasks"), True, 4, 6),
    Goal(
        "server time per event, many tasks to few",
        _within("tasks", "server per event, many", "server per event, few"),
        False,
        1.2,
    ),
    Goal("publishes/s to trpc's", _against("trpc", "ingest", "publishes/s"), True, 2, 3),
    Goal("events/s in batches to trpc's", _against("trpc", "many", "events/s"), True, 1.5, 3),
    Goal("HTTP queries/s to trpc's", _against("trpc", "queries", "requests/s"), True, 0.5),
    Goal("deliveries/s by SSE to trpc's", _against("trpc", "sse", "deliveries/s"), True, 5),
    Goal(
        "memory per idle connection to trpc's", _against("trpc", "memory", "per connection"), False, 0.35, 0.2
    ),
    Goal("time to connect to trpc's", _against("trpc", "connect", "seconds"), False, 0.5, 0.25),
    Goal("what a slow subscriber costs", _itself("slow", "hub grows by"), False, 32, unit="MB"),
    Goal(
        "others' p99 with a slow one to before",
        _within("slow", "others' p99 meanwhile", "others' p99 before"),
        False,
        2,
    ),
    Goal(
        "events a slow one wrongly misses",
        _itself("slow", "wrongly lost, repeated, late"),
        False,
        0,
        unit="",
    ),
    Goal(
        "publishes/s kept in SQLite to one commit each",
        _against("one-commit", "durable", "acknowledged/s", DURABLE),
        True,
        4,
    ),
    Goal("p99 of a publish kept in SQLite", _itself("durable", "p99", DURABLE), False, 20, unit="ms"),
    *(
        Goal(
            f"events/s replayed to one, {peer}",
            _itself("replay", "events/s to one", peer),
            True,
            2e5,
            unit="/s",
        )
        for peer in (HUB, DURABLE)
    ),
    *(
        Goal(
            f"others' p99 during replays to before, {peer}",
            _within("replay", "others' p99 meanwhile", "others' p99 before", peer),
            False,
            2,
        )
        for peer in (HUB, DURABLE)
    ),
    Goal("p50 latency from hub to hub", _itself("across", "latency p50", SHARED), False, 3, unit="ms"),
    Goal("p99 latency from hub to hub", _itself("across", "latency p99", SHARED), False, 10, unit="ms"),
    Goal("events/s in batches through Valkey", _itself("many", "events/s", SHARED), True, 3e4, unit="/s"),
    Goal("publishes/s through Valkey", _itself("ingest", "publishes/s", SHARED), True, 1e4, unit="/s"),
    Goal(
        "deliveries/s of one of two hubs to a single one's",
        _against(HUB, "fanout-across", "deliveries/s", SHARED),
        True,
        0.9,
    ),
    Goal(
        "what the load generator receives", _itself("ceiling", "received/s", "c-loop"), True, 2e6, unit="/s"
    ),
)
