"""What the hub counts, and how Prometheus reads it.

Law: counting is adding to a plain number, once per batch where there is one; names, labels and formats exist
only while somebody asks. So nobody pays for a metric that nobody reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from attrs import define, field
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

MAX_LABELS = 1000
"""How many values one label may have; what comes after them is counted under OTHER."""

OTHER = "(other)"

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""The buckets of the histograms, in seconds."""


@define
class Histogram:
    """How often a duration lay between two of BOUNDS_S."""

    counts: list[int] = field(factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        """`times` things took so long."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += times
        self.sum_s += seconds * times


@define
class Labelled:
    """A count for each value of a label, of which there are not too many."""

    counts: Counter[str] = field(factory=Counter)

    def add(self, label: str, number: int = 1) -> None:
        """Add `number` to the count of `label`."""
        if label not in self.counts and len(self.counts) >= MAX_LABELS:
            label = OTHER
        self.counts[label] += number


@define(eq=False)
class Metrics:
    """All numbers of one hub. What others know already is asked of them when it is wanted.

    `messages_out` counts replies and replayed events, `deliveries` tells of what cohorts have handed out.
    """

    messages_in: int = 0
    messages_out: int = 0
    errors: int = 0
    slow_consumers: int = 0
    gaps: int = 0
    auth_failures: int = 0
    auth_expired: int = 0
    limit_hits: Labelled = field(factory=Labelled)
    latency: Histogram = field(factory=Histogram)
    append: Histogram = field(factory=Histogram)
    events: Labelled = field(factory=Labelled)
    source_restarts: Labelled = field(factory=Labelled)
    connections: Callable[[], int] = lambda: 0
    deliveries: Callable[[], int] = lambda: 0
    subscriptions: Callable[[], Mapping[str, int]] = dict

    def hit(self, limit: str) -> None:
        """Something was refused because of this limit, by its key; empty for none."""
        if limit:
            self.limit_hits.add(limit)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their content type: OpenMetrics if `accept`, a request's header, asks for it."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(self))
        if "application/openmetrics-text" in accept:
            written: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
            return written, openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST


class _Families(Collector):
    """The contract's names for the numbers of `metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        numbers = self._metrics
        yield GaugeMetricFamily(
            "ado_ws_connections_total", "WebSockets that are open now.", numbers.connections()
        )
        yield CounterMetricFamily("ado_ws_messages_in", "Messages from clients.", numbers.messages_in)
        yield CounterMetricFamily(
            "ado_ws_messages_out", "Messages to clients.", numbers.messages_out + numbers.deliveries()
        )
        yield CounterMetricFamily(
            "ado_ws_errors", "Requests, connections and messages that were refused or failed.", numbers.errors
        )
        yield _histogram(
            "ado_ws_latency_seconds",
            "From the moment a publish was accepted until its event was written to a subscriber's socket.",
            numbers.latency,
        )
        yield _by_label("ado_hub_events", "Events delivered.", "topic", numbers.events.counts.items())
        subscriptions = GaugeMetricFamily(
            "ado_hub_subscriptions", "Subscriptions that are open now.", labels=["channel"]
        )
        for channel, number in numbers.subscriptions().items():
            subscriptions.add_metric([channel], number)
        yield subscriptions
        yield CounterMetricFamily(
            "ado_hub_slow_consumers", "How often a subscriber did not keep up.", numbers.slow_consumers
        )
        yield CounterMetricFamily(
            "ado_hub_gaps", "How often a subscriber missed events that were no longer kept.", numbers.gaps
        )
        yield CounterMetricFamily(
            "ado_auth_failures", "How often a credential was refused, or was missing.", numbers.auth_failures
        )
        yield CounterMetricFamily(
            "ado_auth_expired",
            "How often a connection was ended because its credential expired.",
            numbers.auth_expired,
        )
        yield _by_label(
            "ado_limit_hits",
            "How often a limit was met, by its key in the configuration.",
            "limit",
            numbers.limit_hits.counts.items(),
        )
        yield _histogram("ado_storage_append_seconds", "How long storage took for a batch.", numbers.append)
        yield _by_label(
            "ado_source_restarts",
            "How often a source crashed and was run again.",
            "source",
            numbers.source_restarts.counts.items(),
        )


def _by_label(name: str, text: str, label: str, counts: Iterable[tuple[str, int]]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, number in counts:
        family.add_metric([value], number)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    sums = list(accumulate(histogram.counts))
    return HistogramMetricFamily(
        name, text, buckets=list(zip(bounds, sums, strict=True)), sum_value=histogram.sum_s
    )
