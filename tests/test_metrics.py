"""What is counted comes out under the contract's names, in both formats."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from adohub.metrics import BOUNDS_S, MAX_LABELS, OTHER, Histogram, Labelled, Metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(text: str) -> dict[tuple[str, str], float]:
    """Every sample by its name and its one label's value."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def counted() -> Metrics:
    metrics = Metrics(
        messages_in=1,
        messages_out=2,
        errors=3,
        slow_consumers=4,
        gaps=5,
        auth_failures=9,
        connections=lambda: 6,
    )
    metrics.deliveries = lambda: 100
    metrics.subscriptions = lambda: {"stream.onEvent": 7}
    metrics.events.add("task.progress", 8)
    metrics.source_restarts.add('a "source"')
    metrics.latency.observe(0.002, times=10)
    metrics.append.observe(3600)
    return metrics


def test_every_name_of_the_contract_is_there_with_its_number() -> None:
    body, content_type = counted().text()
    assert content_type.startswith("text/plain")
    found = samples(body.decode())
    expected = {
        ("ado_ws_connections_total", ""): 6,
        ("ado_ws_messages_in_total", ""): 1,
        ("ado_ws_messages_out_total", ""): 102,
        ("ado_ws_errors_total", ""): 3,
        ("ado_ws_latency_seconds_bucket", "0.001"): 0,
        ("ado_ws_latency_seconds_bucket", "0.0025"): 10,
        ("ado_ws_latency_seconds_bucket", "+Inf"): 10,
        ("ado_ws_latency_seconds_count", ""): 10,
        ("ado_hub_events_total", "task.progress"): 8,
        ("ado_hub_subscriptions", "stream.onEvent"): 7,
        ("ado_hub_slow_consumers_total", ""): 4,
        ("ado_hub_gaps_total", ""): 5,
        ("ado_auth_failures_total", ""): 9,
        ("ado_storage_append_seconds_bucket", "5.0"): 0,
        ("ado_storage_append_seconds_bucket", "+Inf"): 1,
        ("ado_source_restarts_total", 'a "source"'): 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["ado_ws_latency_seconds_sum", ""] == pytest.approx(0.02)


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    body, content_type = counted().text(f"{OPENMETRICS},text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    families = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    names = {family.name for family in families}
    assert {"ado_ws_errors", "ado_ws_latency_seconds", "ado_hub_events"} <= names


@pytest.mark.parametrize(("seconds", "bucket"), [(0, 0), (BOUNDS_S[0], 0), (0.0006, 1), (9.9, len(BOUNDS_S))])
def test_a_duration_counts_in_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    histogram = Histogram()
    histogram.observe(seconds)
    assert [number for number, count in enumerate(histogram.counts) if count] == [bucket]


def test_a_label_has_only_so_many_values() -> None:
    labelled = Labelled()
    for number in range(MAX_LABELS + 10):
        labelled.add(f"topic.t{number}")
    labelled.add("topic.t0")
    assert len(labelled.counts) == MAX_LABELS + 1
    assert (labelled.counts[OTHER], labelled.counts["topic.t0"]) == (10, 2)
