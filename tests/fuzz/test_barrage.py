"""Thousands of spoiled frames leave nothing behind, and nobody else has to wait for long."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.fuzz.assailants import Tally
from tests.fuzz.barrage import HOSTS, Holdings, Outcome, Waits, is_fault, outlived, report
from tests.fuzz.frames import Borders
from tests.net import raw

FRAMES, WARM_UP = 2000, 1000
STALL_S = 2.0
"""For machines that do much else meanwhile: the program asks for less."""

GROWTH_BYTES = 32 * 2**20
"""So few frames do not fill the heap that as many more would need."""


@pytest.mark.parametrize("websocket", HOSTS)
async def test_a_hub_outlives_spoiled_frames_and_holds_no_more_than_before(websocket: str) -> None:
    found = await outlived(websocket, FRAMES, seed=0, heavy=True, warm_up=WARM_UP)
    assert found.tally.frames >= FRAMES
    assert found.understood > FRAMES / 2
    broken = found.broken(stall_s=STALL_S, wait_s=STALL_S, growth_bytes=GROWTH_BYTES)
    assert broken == [], report(websocket, found, broken)


HELD = Holdings(memory=2**26, blocks=1000, tasks=10, descriptors=10, threads=1)
FINE = Outcome(
    tally=Tally(frames=1),
    seconds=1,
    core=1,
    waits=Waits([0.01]),
    turn_s=0.01,
    turn_cpu_s=0.01,
    start=HELD,
    before=HELD,
    after=HELD,
    faults=(),
    understood=1,
)


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (FINE, []),
        (evolve(FINE, faults=["Traceback (most recent call last):"]), ["a fault is logged"]),
        (evolve(FINE, tally=Tally(frames=1, silent=1)), ["the hub said nothing"]),
        (evolve(FINE, turn_s=0.15), ["a turn took 150.0 ms"]),
        (evolve(FINE, waits=Waits([0.01, 0.3])), ["another waited 300.0 ms"]),
        (evolve(FINE, after=evolve(HELD, memory=2**27)), ["there is more memory"]),
        (evolve(FINE, after=evolve(HELD, blocks=1100)), ["there are more blocks in use"]),
        (evolve(FINE, after=evolve(HELD, tasks=11)), ["there are more tasks"]),
        (evolve(FINE, after=evolve(HELD, descriptors=11)), ["there are more descriptors"]),
        (evolve(FINE, after=evolve(HELD, threads=2)), ["there are more threads"]),
    ],
)
def test_a_broken_law_is_told(found: Outcome, broken: list[str]) -> None:
    assert found.broken() == broken
    assert all(f"BROKEN: {law}" in report("native", found, broken) for law in broken)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"level": "info", "event": "draining"}', False),
        ('{"level": "error", "event": "internal fault"}', True),
        ('{"level": "warning", "event": "odd", "exception": "Traceback"}', True),
        ('  File "hub.py", line 1, in serve', True),
    ],
)
def test_what_is_a_fault_in_the_log(line: str, expected: bool) -> None:
    assert is_fault(line) is expected


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("masked", [True, False])
def test_it_is_known_where_frames_end_however_they_are_cut(length: int, masked: bool) -> None:
    frame = raw.frame(raw.TEXT, bytes(length), masked=masked)
    for cut in (1, 2, 3, 9, 10, len(frame) - 1):
        borders = Borders()
        borders.add(frame + frame[:cut])
        assert borders.is_here is (cut >= len(frame))
        borders.add(frame[cut:] + frame)
        assert borders.is_here
