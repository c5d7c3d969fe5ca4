"""A source that crashes is told of, rests, and runs again; one that ran long enough begins afresh."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from adohub.hub.supervisor import FIRST_RESTART_S, HEALTHY_AFTER_S, LONGEST_REST_S, supervise
from adohub.plugin.contracts import Publish, Source


@pytest.fixture
def anyio_backend() -> object:
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def publish(topic: str, payload: object, /, *, idempotency_key: str | None = None) -> str:
    return f"{topic}-1"


def crashing(starts: list[float], *run_times: float) -> Source:
    """Crashes after each of `run_times`, then returns."""

    async def run(publish: Publish) -> None:
        starts.append(trio.current_time())
        if len(starts) <= len(run_times):
            await trio.sleep(run_times[len(starts) - 1])
            raise ValueError("no more ticks")

    return Source("ticks", run)


async def rests(*run_times: float, jitter: float = 1.0) -> list[float]:
    """How long the source rested after each of its runs."""
    starts: list[float] = []
    with capture_logs():
        await supervise(crashing(starts, *run_times), publish, jitter=lambda: jitter)
    return [
        later - earlier - ran for earlier, later, ran in zip(starts[:-1], starts[1:], run_times, strict=True)
    ]


async def test_rests_double_up_to_a_longest() -> None:
    expected = [FIRST_RESTART_S]
    while len(expected) < 10:
        expected.append(min(expected[-1] * 2, LONGEST_REST_S))
    assert await rests(*[0.0] * 10) == pytest.approx(expected)


async def test_a_healthy_run_is_forgiven() -> None:
    assert await rests(0, 0, HEALTHY_AFTER_S + 1, 0) == pytest.approx([0.5, 1, 0.5, 1])
    assert await rests(0, 0, HEALTHY_AFTER_S - 1) == pytest.approx([0.5, 1, 2])


async def test_rests_are_jittered_down_to_half() -> None:
    assert await rests(0, 0, jitter=0.0) == pytest.approx([0.25, 0.5])


async def test_a_crash_is_told_with_its_traceback_and_the_end_too() -> None:
    with capture_logs() as logs:
        await supervise(crashing([], 0.0), publish)
    assert [(line["event"], line["source"], line["log_level"]) for line in logs] == [
        ("source crashed", "ticks", "error"),
        ("source finished", "ticks", "info"),
    ]
    assert logs[0]["exc_info"]


async def test_a_source_that_returns_is_not_run_again() -> None:
    starts: list[float] = []
    with capture_logs():
        await supervise(crashing(starts), publish)
    assert len(starts) == 1


async def test_a_source_gets_the_publish_function() -> None:
    published: list[str] = []

    async def run(publish: Publish) -> None:
        published.append(await publish("garden.tick", {}))

    with capture_logs():
        await supervise(Source("ticks", run), publish)
    assert published == ["garden.tick-1"]


async def test_a_crash_in_a_nursery_of_the_source_is_its_crash() -> None:
    runs = 0

    async def run(publish: Publish) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                raise OSError("gone")

    with capture_logs():
        await supervise(Source("ticks", run), publish)
    assert runs == 2


async def test_cancelling_the_hub_ends_a_source_at_once_running_or_resting() -> None:
    for run_time in (1000.0, 0.0):
        with capture_logs() as logs, trio.move_on_after(0.1) as scope:
            await supervise(crashing([], run_time, run_time), publish)
        assert scope.cancelled_caught
        assert [line["event"] for line in logs] == (["source crashed"] if run_time == 0 else [])
