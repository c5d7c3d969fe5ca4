"""A flush is cut into slices, and whoever joins, leaves or falls behind between two of them misses nothing.

Every slice hands out one send here, so that there is a gap between any two members; and everything that a
subscription can do is done in every gap.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, precondition, rule

from adohub.hub import cohort, routes
from adohub.hub.cohort import SEND_BYTES, SLICE_BYTES, Cohort, Interest
from adohub.hub.cursor import Cursor
from adohub.hub.routes import Routes
from adohub.hub.twin import SlowCohort
from adohub.model import Replay
from tests.hub.making import Hub, Peer, Recorder, at, begun, draft, event, interest

TASK = interest("t", key="k", completes_on="end")
MEMBERS = 3


@pytest.fixture(autouse=True)
def _one_send_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "SLICE_BYTES", 1)
    monkeypatch.setattr(routes, "SLICE_BYTES", 1)
    monkeypatch.setattr(routes, "FEW_MEMBERS", 0)


# ── cursors in every gap ─────────────────────────────────────────────────────────────────────────────────


class Scene:
    """A hub with a few live subscriptions to one task, and an event that is handed out step by step."""

    def __init__(self, hub: Hub, nursery: trio.Nursery) -> None:
        self.hub = hub
        self.nursery = nursery
        self.peers: list[Peer] = []
        self.cursors: list[Cursor] = []

    async def subscribe(self, replay: Replay = "none", interest: Interest = TASK) -> Peer:
        peer = Peer(self.nursery)
        self.cursors.append(await begun(self.hub, peer, interest, replay))
        self.peers.append(peer)
        return peer

    async def publish(self, topic: str = "t") -> tuple[str, Iterator[None]]:
        """An event's id, and the steps of handing it out; the first of them has been taken."""
        [event_id] = await self.hub.publish(draft(topic, "k"))
        [one] = (await self.hub.storage.read(TASK.reading, self.hub.journal.head, 1)).events
        before = self.hub.journal.head
        self.hub.journal.advance([one])
        steps = self.hub.routes.deliver([one], before)
        next(steps)
        return event_id, steps

    async def published(self, topic: str = "t") -> str:
        """An event's id, once it has been handed out."""
        event_id, steps = await self.publish(topic)
        for _ in steps:
            pass
        await trio.testing.wait_all_tasks_blocked()
        return event_id


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        made = Scene(Hub(), nursery)
        for _ in range(MEMBERS):
            await made.subscribe()
        yield made
        nursery.cancel_scope.cancel()


gaps = pytest.mark.parametrize("gap", range(MEMBERS))
"""After how many members something happens; one of them has been served before the first gap."""


async def in_gap(steps: Iterator[None], gap: int) -> None:
    for _ in range(gap):
        next(steps)
        await trio.testing.wait_all_tasks_blocked()


@gaps
@pytest.mark.parametrize(("replay", "seen"), [("none", [2]), ("last", [1, 2]), ("all", [0, 1, 2])])
async def test_who_joins_in_a_gap_is_given_what_it_has_not_read_and_nothing_twice(
    gap: int, replay: Replay, seen: list[int]
) -> None:
    async with scene() as stage:
        ids = [await stage.published()]
        second, steps = await stage.publish()
        ids.append(second)
        await in_gap(steps, gap)
        late = await stage.subscribe(replay)
        for _ in steps:
            pass
        ids.append(await stage.published())
        assert late.ids == [ids[number] for number in seen]
        assert [peer.ids for peer in stage.peers[:MEMBERS]] == [ids] * MEMBERS


@gaps
async def test_who_leaves_in_a_gap_is_given_no_more(gap: int) -> None:
    async with scene() as stage:
        event_id, steps = await stage.publish()
        await in_gap(steps, gap)
        heard = [len(peer.ids) for peer in stage.peers]
        for cursor in stage.cursors:
            cursor.leave()
        for _ in steps:
            pass
        assert [len(peer.ids) for peer in stage.peers] == heard
        assert sum(heard) == gap + 1
        assert stage.hub.routes.members == 0
        again = await stage.subscribe("last")
        assert again.ids == [event_id]
        assert [event_id, await stage.published()] == again.ids


@gaps
async def test_who_falls_behind_in_a_gap_and_comes_back_in_it_misses_nothing(gap: int) -> None:
    async with scene() as stage:
        first = await stage.published()
        for peer in stage.peers:
            peer.full = True
        second, steps = await stage.publish()
        await in_gap(steps, gap)
        for peer in stage.peers:
            peer.drain()
        await trio.testing.wait_all_tasks_blocked()
        for _ in steps:
            pass
        await trio.testing.wait_all_tasks_blocked()
        third = await stage.published()
        assert [peer.ids for peer in stage.peers] == [[first, second, third]] * MEMBERS
        assert stage.hub.routes.members == MEMBERS


@gaps
async def test_a_completion_reaches_everybody_once_and_newcomers_too(gap: int) -> None:
    async with scene() as stage:
        _, steps = await stage.publish("end")
        await in_gap(steps, gap)
        late = await stage.subscribe()
        for _ in steps:
            pass
        await trio.testing.wait_all_tasks_blocked()
        assert [(peer.stops, peer.over) for peer in [*stage.peers, late]] == [(1, True)] * (MEMBERS + 2)
        assert stage.hub.routes.members == 0
        assert not stage.hub.routes._cohorts


# ── routes against a naive model, with gaps ──────────────────────────────────────────────────────────────


class SlicedDelivery(RuleBasedStateMachine):
    """Deliveries begin, go on by a step, and end; members come and go in between."""

    make_cohort: Callable[[Interest], Cohort] = Cohort
    members = Bundle("members")

    def __init__(self) -> None:
        super().__init__()
        self.routes = Routes(type(self).make_cohort)
        self.head = 0
        self.steps: Iterator[None] | None = None
        self.live: list[Recorder] = []
        self.interests: dict[Recorder, Interest] = {}
        self.owed: dict[Recorder, list[str]] = {}
        self.given_when_left: dict[Recorder, int] = {}

    @rule(target=members, tag=st.sampled_from([1, 2]))
    def join(self, tag: int) -> Recorder:
        recorder = Recorder()
        self.interests[recorder] = interest("t", id_=tag)
        self.routes.join(self.interests[recorder], recorder, recorder.push)
        self.live.append(recorder)
        self.owed[recorder] = []
        return recorder

    @rule(recorder=consumes(members))
    def leave(self, recorder: Recorder) -> None:
        self.routes.leave(self.interests[recorder], recorder)
        self.live.remove(recorder)
        self.given_when_left[recorder] = len(recorder.pushed)

    @precondition(lambda self: self.steps is None)
    @rule(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        batch = [event(self.head + number, "t") for number in range(1, count + 1)]
        for recorder in self.live:
            self.owed[recorder] += [one.id for one in batch]
        self.steps = self.routes.deliver(batch, at(self.head))
        self.head += count
        self.go_on()

    @precondition(lambda self: self.steps is not None)
    @rule()
    def go_on(self) -> None:
        assert self.steps is not None
        if next(self.steps, self) is self:
            self.steps = None

    def teardown(self) -> None:
        for _ in self.steps or ():
            pass
        for recorder, owed in self.owed.items():
            heard = [one["result"]["id"] for one in recorder.heard]
            if recorder in self.given_when_left:
                assert len(recorder.pushed) == self.given_when_left[recorder]
                assert heard == owed[: len(heard)]
            else:
                assert heard == owed
        assert self.routes.members == len(self.live)


class SlicedSlowDelivery(SlicedDelivery):
    """The same with the slow twin."""

    make_cohort = SlowCohort


_thorough = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestSlicedDelivery = SlicedDelivery.TestCase
TestSlicedDelivery.settings = _thorough
TestSlicedSlowDelivery = SlicedSlowDelivery.TestCase
TestSlicedSlowDelivery.settings = _thorough


# ── how large a slice is ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [10, 60_000, 2 * SLICE_BYTES])
def test_a_slice_costs_no_more_than_it_may_and_at_least_one_send(
    body: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    recorders = [Recorder() for _ in range(600)]
    wide = Cohort(interest("t"))
    wide.members = {recorder: recorder.push for recorder in recorders}
    wide.stage(event(1, "t", text="x" * body), {})
    given = 0
    for cost, messages in wide.flush(at(0)):
        sends = sum(len(recorder.pushed) for recorder in recorders) - given
        given += sends
        assert messages == sends
        assert cost == sends * (SEND_BYTES + len(recorders[0].pushed[0]))
        assert sends == 1 or cost <= SLICE_BYTES
    assert given == len(recorders)


def test_many_small_cohorts_are_handed_out_in_slices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = Routes()
    recorders = [Recorder() for _ in range(2000)]
    for number, recorder in enumerate(recorders):
        made.join(interest("t", key=str(number)), recorder, recorder.push)
    batch = [event(number + 1, "t", str(number)) for number in range(len(recorders))]
    given = 0
    for _ in made.deliver(batch, at(0)):
        now = sum(len(recorder.pushed) for recorder in recorders)
        assert 0 < now - given <= SLICE_BYTES // SEND_BYTES
        given = now
    assert sum(len(recorder.pushed) for recorder in recorders) == len(recorders)
