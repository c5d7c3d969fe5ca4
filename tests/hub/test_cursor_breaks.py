"""A new epoch in the middle: nothing that storage still has is lost or comes twice, and the gap is told once.

The scripts of test_cursor, with a break in each of them, at any point. A failover loses the newest event, a
flush all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
import trio
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.model import Event
from tests.hub.stage import Outcome, Start, Step, play
from tests.hub.test_cursor import STARTS

Break = Literal["flush", "fail over"]
BREAKS: Sequence[Break] = ("flush", "fail over")

DEPTH = 4
"""How many steps the scripts have that are all tried, the break among them."""

Identity = tuple[int, int]
"""Which event it is, in order: that of a later epoch may be the same as that of the one before."""


def check(start: Start, script: Sequence[Step], outcome: Outcome) -> None:
    """The law, from what was published alone."""
    told = f"{start}\n{list(script)}\n{outcome}"
    goes_on = "flush" not in script
    first_epoch = outcome.head_at_start.epoch

    def identity(epoch: str, offset: int) -> Identity:
        return (0 if goes_on or epoch == first_epoch else 1), offset

    def identities(events: Sequence[Event]) -> dict[Identity, Event]:
        return {identity(*event.position): event for event in events}

    ended, events = identities(outcome.ended), identities(outcome.events)
    given = [identity(*_parsed(id_)) for id_ in outcome.ids]
    assert given == sorted(set(given)), told
    published = ended | events
    assert all(start.interest.selection.chooses(published[one]) for one in given), told
    assert outcome.gaps <= 1, told
    assert outcome.stops == outcome.over, told
    assert outcome.stops == outcome.stopped_last, told
    if outcome.left:
        assert not outcome.live, told
        return
    assert outcome.live != outcome.over, told
    ends_before = any(map(start.interest.completed_by, ended.values()))
    ends_after = any(map(start.interest.completed_by, events.values()))
    assert outcome.over >= ends_after, told
    assert outcome.over <= (ends_before or ends_after), told
    if not outcome.over:
        assert outcome.gaps == 1, told
        assert set(_after_start(start, outcome, events)) <= set(given), told
    elif not ends_before:
        expected = _after_start(start, outcome, events)
        end = next(one for one, event in events.items() if start.interest.completed_by(event))
        assert {one for one in expected if one <= end} <= set(given), told


def _parsed(event_id: str) -> tuple[str, int]:
    epoch, _, offset = event_id.partition("-")
    return epoch, int(offset, 16)


def _after_start(start: Start, outcome: Outcome, events: dict[Identity, Event]) -> list[Identity]:
    """Those of the last epoch that the subscriber has asked for."""
    first = 0 if start.replay == "all" else outcome.head_at_start.offset
    if start.resume_at is not None:
        first = start.resume_at
    chosen = [one for one, event in events.items() if start.interest.selection.chooses(event)]
    return [one for one in chosen if one > (0, first)]


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize("name", STARTS)
async def test_a_break_in_every_order_of_a_few_steps_keeps_the_law(name: str, kind: Break) -> None:
    start = STARTS[name]
    played = 0
    scripts: list[tuple[Step, ...]] = [()]
    with trio.fail_after(90):
        while scripts:
            script = scripts.pop()
            outcome = await play(start, script)
            if kind in script:
                check(start, script, outcome)
                played += 1
            steps: list[Step] = [*outcome.possible] if kind in script else [*outcome.possible, kind]
            if len(script) < DEPTH - 1:
                scripts += ((*script, step) for step in steps)
            elif len(script) < DEPTH:
                scripts += ((*script, step) for step in (steps if kind in script else [kind]))
    assert played > 100


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(list(STARTS.values())),
    before=st.lists(st.sampled_from(["publish", "other", "end", "deliver", "storage", "full"]), max_size=12),
    kind=st.sampled_from(BREAKS),
    after=st.lists(
        st.sampled_from(["publish", "other", "end", "deliver", "storage", "full", "room"]), max_size=20
    ),
    far_back=st.booleans(),
)
def test_longer_orders_with_a_break_keep_the_law(
    start: Start, before: list[Step], kind: Break, after: list[Step], far_back: bool
) -> None:
    script: list[Step] = [*before, kind, *after]
    start = evolve(start, far_back=far_back)

    async def run() -> None:
        with trio.fail_after(20):
            check(start, script, await play(start, script))

    trio.run(run)
