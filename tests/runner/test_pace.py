"""How often progress is told, by virtual time given as numbers."""

from __future__ import annotations

import math

from adohub.runner.pace import INTERVAL_S, Pace
from adohub.runner.progress import Phase, Progress


def at(percent: float, phase: Phase = "impl") -> Progress:
    return Progress(phase, percent, "")


def test_the_first_is_told_at_once_and_the_newest_wins() -> None:
    pace = Pace()
    assert pace.offer(at(0), 0.0) == [at(0)]
    assert pace.offer(at(1), 0.01) == []
    assert pace.offer(at(2), 0.02) == []
    assert pace.due_at == INTERVAL_S
    assert pace.release(INTERVAL_S) == [at(2)]
    assert pace.due_at == math.inf
    assert pace.release(INTERVAL_S) == []


def test_after_the_interval_a_change_is_told_at_once_in_place_of_what_was_held() -> None:
    pace = Pace()
    pace.offer(at(0), 0.0)
    pace.offer(at(1), 0.01)
    assert pace.offer(at(2), 0.2) == [at(2)]
    assert pace.due_at == math.inf


def test_a_phase_change_is_never_held_nor_the_last_of_the_phase_before_dropped() -> None:
    pace = Pace()
    pace.offer(at(0), 0.0)
    pace.offer(at(99), 0.01)
    assert pace.offer(at(0, "test"), 0.02) == [at(99), at(0, "test")]
    assert pace.offer(at(0, "validate"), 0.03) == [at(0, "validate")]
