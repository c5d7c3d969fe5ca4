"""How much is measured: the sizes that the goals speak of, quick ones, and ones just big enough to run."""

from __future__ import annotations

from attrs import frozen


@frozen
class Plan:
    """One run. Times in seconds, sizes in bytes.

    `window`: how many events are on their way at a time in the closed loops. `retained`: how many events
    adohub keeps while a subscriber does not read; they are published before it stops, so that what it costs
    shows by itself.

    `across_window`: wider than `fanout_window`, since an event is on its way for longer through two hubs, and
    the one that delivers is to be busy.

    `callers`: how many connections make HTTP calls. `calls_warm_s` is how long Node takes to compile what
    answers them. `sse_window` is small and `sse_s` long because trpc sends all that is on its way at once:
    a window more or less must not matter.
    """

    rounds: int = 3
    warm_s: float = 2
    measure_s: float = 4
    drain_s: float = 10
    event_bytes: int = 230

    fanout_subscribers: int = 1000
    fanout_window: int = 16

    ceiling_subscribers: int = 50
    ceiling_window: int = 1000

    steady_subscribers: int = 500
    steady_events_per_s: int = 100
    steady_s: float = 10

    across_events_per_s: int = 5000
    across_window: int = 64

    few_tasks: int = 100
    many_tasks: int = 2000
    tasks_window: int = 64

    ingest_window: int = 64

    batch: int = 100
    batches_window: int = 4

    callers: int = 64
    calls_warm_s: float = 5

    sse_window: int = 4
    sse_s: float = 10

    idle_connections: int = 5000
    settle_s: float = 8

    durable_window: int = 64

    replay_events: int = 100_000
    replay_clients: int = 100
    replay_others: int = 50
    replay_rate: int = 200
    replay_warm_s: float = 1
    replay_others_s: float = 2.5

    slow_others: int = 50
    slow_event_bytes: int = 2000
    slow_events_per_s: int = 2000
    slow_retained: int = 10_000
    slow_before_s: float = 5
    slow_stalled_bytes: int = 200_000_000
    slow_after_s: float = 5

    @property
    def slow_stalled_s(self) -> float:
        """How long it takes until so many bytes have passed the subscriber that does not read."""
        return self.slow_stalled_bytes / (self.slow_event_bytes * self.slow_events_per_s)


FULL = Plan()

QUICK = Plan(
    rounds=1,
    warm_s=1,
    measure_s=1.5,
    drain_s=5,
    steady_s=3,
    calls_warm_s=3,
    sse_s=4,
    idle_connections=1000,
    settle_s=3,
    replay_others_s=2,
    slow_before_s=2,
    slow_retained=2_000,
    slow_stalled_bytes=20_000_000,
    slow_after_s=2,
)

TINY = Plan(
    rounds=1,
    warm_s=0.05,
    measure_s=0.15,
    drain_s=5,
    fanout_subscribers=10,
    fanout_window=4,
    ceiling_subscribers=5,
    ceiling_window=20,
    steady_subscribers=10,
    steady_s=0.2,
    across_events_per_s=500,
    across_window=8,
    few_tasks=5,
    many_tasks=10,
    tasks_window=4,
    ingest_window=4,
    batch=5,
    batches_window=2,
    callers=4,
    calls_warm_s=0.05,
    sse_window=2,
    sse_s=0.15,
    idle_connections=10,
    settle_s=0.2,
    durable_window=4,
    replay_events=200,
    replay_clients=3,
    replay_others=3,
    replay_warm_s=0.05,
    replay_others_s=0.2,
    slow_others=3,
    slow_events_per_s=500,
    slow_retained=50,
    slow_before_s=0.2,
    slow_stalled_bytes=200_000,
    slow_after_s=0.2,
)
