"""Routes give every member what a look at all members, one by one, would give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import trio.testing
from attrs import define, evolve, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from adohub.hub.cohort import MAX_REMEMBERED_TOPICS, Cohort, Interest
from adohub.hub.routes import MAX_CACHED_TOPICS, Routes
from adohub.hub.twin import SlowCohort
from adohub.model import Event, Position
from adohub.topics import Selection
from adohub.wire.dialect import PLAIN, Dialect, TextFrames
from adohub.wire.encode import View
from adohub.wire.messages import Tag
from tests.hub.making import Recorder, at, at_once, data, event, interest, stopped

TOPICS = ("a.x", "a.y", "b.x", "b.x.deep", "end.now")
PATTERNS = (*TOPICS, "a.*", "*.x", "a.**", "b.**", "**")
KEYS = (None, "k", "m")

selections = st.builds(
    Selection,
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3),
    key=st.sampled_from(KEYS),
    where=st.sampled_from([(), (("color", "red"),), (("color", "red"), ("size", "xl"))]),
    visible=st.sampled_from([None, None, ("a.**",), ("b.x", "end.now"), ()]),
)
interests = st.builds(
    Interest,
    selections,
    st.builds(View, whole=st.booleans(), tracked=st.booleans()),
    st.sampled_from([None, "end.now", "a.y"]),
    st.builds(Tag, st.sampled_from([1, 2, "two"]), st.booleans()),
)
happenings = st.tuples(
    st.sampled_from(TOPICS),
    st.sampled_from(KEYS),
    st.fixed_dictionaries({}, optional={"color": st.sampled_from(["red", "blue", 7]), "size": st.just("xl")}),
)


@define(eq=False)
class Subscription:
    """A member and what the naive model says it has heard."""

    interest: Interest
    recorder: Recorder = field(factory=Recorder)
    expected: list[dict[str, Any]] = field(factory=list)
    behind: list[Position] = field(factory=list)
    interrupted: list[Position] = field(factory=list)
    is_in: bool = True
    completions: int = 0

    def naive_delivery(self, batch: Sequence[Event], before: Position, *, refuses: bool) -> None:
        heard: list[dict[str, Any]] = []
        completed = False
        for one in batch:
            if self.interest.selection.chooses(one):
                heard.append(data(one, self.interest))
            completed = one.topic == self.interest.completes_on and self.interest.selection.key in (
                None,
                one.key,
            )
            if completed:
                heard.append(stopped(self.interest))
                break
        if heard and refuses:
            self.behind.append(before)
            self.is_in = False
        else:
            self.expected += heard
            self.completions += completed
            self.is_in = not completed


class RoutesAgainstNaiveModel(RuleBasedStateMachine):
    """Joins, leaves, batches and full sockets, in any order."""

    make_cohort: Callable[[Interest], Cohort] = Cohort
    subscriptions = Bundle("subscriptions")

    def __init__(self) -> None:
        super().__init__()
        self.routes = Routes(type(self).make_cohort)
        self.all: list[Subscription] = []
        self.head = 0

    @rule(target=subscriptions, interest=interests)
    def join(self, interest: Interest) -> Subscription:
        return self._joined(interest)

    def _joined(self, interest: Interest) -> Subscription:
        subscription = Subscription(interest)
        self.routes.join(interest, subscription.recorder, subscription.recorder.push)
        self.all.append(subscription)
        return subscription

    @rule(target=subscriptions, other=subscriptions)
    def join_the_same(self, other: Subscription) -> Subscription:
        return self._joined(other.interest)

    @rule(subscription=consumes(subscriptions))
    def leave(self, subscription: Subscription) -> None:
        """Also of one that has completed or fallen behind: leaving twice is harmless."""
        self.routes.leave(subscription.interest, subscription.recorder)
        subscription.is_in = False

    @rule(batch=st.lists(happenings, min_size=1, max_size=6), refusing=st.sets(st.integers(0, 7)))
    def deliver(self, batch: list[tuple[str, str | None, dict[str, object]]], refusing: set[int]) -> None:
        before = at(self.head)
        events = [
            event(self.head + number, topic, key, **payload)
            for number, (topic, key, payload) in enumerate(batch, start=1)
        ]
        self.head += len(events)
        members = [one for one in self.all if one.is_in]
        for number, one in enumerate(members):
            one.recorder.full = number in refusing
        at_once(self.routes.deliver(events, before))
        for one in members:
            one.naive_delivery(events, before, refuses=one.recorder.full)

    @rule()
    def interrupt(self) -> None:
        self.routes.interrupt(at(self.head))
        for one in self.all:
            if one.is_in:
                one.interrupted.append(at(self.head))
                one.is_in = False
        assert not self.routes._by_pattern

    @invariant()
    def everybody_heard_what_is_theirs(self) -> None:
        for one in self.all:
            assert one.recorder.heard == one.expected
            assert one.recorder.behind == one.behind
            assert one.recorder.interrupted == one.interrupted
            assert one.recorder.completions == one.completions
        assert self.routes.members == sum(one.is_in for one in self.all)

    def teardown(self) -> None:
        for one in self.all:
            self.routes.leave(one.interest, one.recorder)
        assert self.routes.members == 0
        assert not self.routes._cohorts
        assert not self.routes._by_pattern
        assert not any(self.routes._matching.values())


RoutesAgainstNaiveModel.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestRoutesAgainstNaiveModel = RoutesAgainstNaiveModel.TestCase


class SlowRoutesAgainstNaiveModel(RoutesAgainstNaiveModel):
    """The same with the slow twin of the fast path."""

    make_cohort = SlowCohort


SlowRoutesAgainstNaiveModel.TestCase.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None
)
TestSlowRoutesAgainstNaiveModel = SlowRoutesAgainstNaiveModel.TestCase


def joined(routes: Routes, interest: Interest) -> Recorder:
    recorder = Recorder()
    routes.join(interest, recorder, recorder.push)
    return recorder


def test_an_event_that_two_patterns_match_is_heard_once() -> None:
    routes = Routes()
    both = interest("a.*", "**", "a.x")
    recorder = joined(routes, both)
    at_once(routes.deliver([event(1, "a.x")], at(0)))
    assert recorder.heard == [data(event(1, "a.x"), both)]


def test_a_pattern_given_twice_is_one_pattern() -> None:
    routes = Routes()
    twice = interest("a.*", "a.*", "a.x", "a.x")
    recorder = joined(routes, twice)
    at_once(routes.deliver([event(1, "a.x")], at(0)))
    routes.leave(twice, recorder)
    assert len(recorder.heard) == 1
    assert not routes._by_pattern


def test_a_body_is_made_once_per_event_and_form() -> None:
    made: list[tuple[str, Dialect, View]] = []

    class Counting(TextFrames):
        def body(self, event: Event, view: View) -> bytes:
            made.append((event.id, self, view))
            return super().body(event, view)

    dialects = [Counting(PLAIN), Counting(PLAIN)]
    routes = Routes()
    views = [View(), View(whole=True), View(tracked=True)]
    for id_ in range(5):
        for dialect, view in product(dialects, views):
            for pattern in ("a.x", "a.*", "**"):
                joined(routes, evolve(interest(pattern, id_=id_, view=view), dialect=dialect))
    events = [event(1, "a.x"), event(2, "a.x")]
    at_once(routes.deliver(events, at(0)))
    assert len(made) == len(events) * len(dialects) * len(views)
    assert set(made) == set(product((one.id for one in events), dialects, views))


def test_a_cohort_is_flushed_once_per_batch_with_the_same_bytes_for_all() -> None:
    routes = Routes()
    recorders = [joined(routes, interest("a.x", "a.y")) for _ in range(3)]
    at_once(routes.deliver([event(number, "a.x" if number % 2 else "a.y") for number in range(1, 9)], at(0)))
    [[frames], *others] = [recorder.pushed for recorder in recorders]
    assert all(pushed == [frames] and pushed[0] is frames for pushed in others)
    assert len(recorders[0].heard) == 8


def test_nothing_is_pushed_to_whom_nothing_is_for() -> None:
    routes = Routes()
    recorder = joined(routes, interest("a.x", key="k", completes_on="end.now"))
    at_once(routes.deliver([event(1, "a.x", "m"), event(2, "a.x"), event(3, "end.now", "m")], at(0)))
    assert recorder.pushed == []


def test_a_refused_member_has_left_before_it_is_told() -> None:
    class Rejoining(Recorder):
        def fall_behind(self, position: Position) -> None:
            super().fall_behind(position)
            assert routes.members == 1

    routes = Routes()
    wanted = interest("a.x")
    slow = Rejoining()
    slow.full = True
    routes.join(wanted, slow, slow.push)
    quick = joined(routes, wanted)
    at_once(routes.deliver([event(1, "a.x")], at(0)))
    assert (slow.behind, slow.pushed) == ([at(0)], [])
    assert len(quick.heard) == 1


def test_a_member_that_is_refused_its_last_flush_is_behind_and_not_complete() -> None:
    routes = Routes()
    slow = joined(routes, interest("a.x", completes_on="end.now"))
    slow.full = True
    at_once(routes.deliver([event(7, "end.now")], at(6)))
    assert (slow.behind, slow.completions, routes.members) == ([at(6)], 0, 0)


def test_completion_needs_no_right_to_see_the_completing_topic() -> None:
    narrow = Interest(Selection(["a.*"], visible=["a.x"]), View(), "end.now", Tag(1))
    routes = Routes()
    recorder = joined(routes, narrow)
    at_once(routes.deliver([event(1, "a.y"), event(2, "end.now")], at(0)))
    assert recorder.heard == [stopped(narrow)]


def test_patterns_reach_topics_that_appear_later_and_more_than_are_remembered() -> None:
    routes = Routes()
    recorder = joined(routes, interest("t.*"))
    count = max(MAX_CACHED_TOPICS, MAX_REMEMBERED_TOPICS) + 10
    for number in range(1, count + 1):
        at_once(routes.deliver([event(number, f"t.n{number}")], at(number - 1)))
    assert len(recorder.heard) == count


async def test_joining_delivering_and_leaving_never_checkpoint() -> None:
    routes = Routes()
    wanted = interest("a.*", completes_on="end.now")
    recorder = Recorder()
    with trio.testing.assert_no_checkpoints():
        routes.join(wanted, recorder, recorder.push)
        at_once(routes.deliver([event(1, "a.x"), event(2, "end.now")], at(0)))
        routes.leave(wanted, recorder)


def test_a_listener_is_told_of_its_topic_before_any_member_is() -> None:
    routes, recorder, told = Routes(), Recorder(), list[tuple[Event, int]]()
    routes.join(interest("a.*"), recorder, recorder.push)
    routes.listen("a.x", lambda event: told.append((event, len(recorder.pushed))))
    events = [event(1, "a.x", "k"), event(2, "a.y", "k"), event(3, "a.x")]
    at_once(routes.deliver(events, at(0)))
    assert told == [(events[0], 0), (events[2], 0)]
    assert len(recorder.heard) == 3


def test_while_a_delivery_goes_on_it_is_known_after_which_position() -> None:
    routes, recorder = Routes(), Recorder()
    seen: list[Position | None] = []

    def push(frames: bytes) -> bool:
        seen.append(routes.underway_after)
        return recorder.push(frames)

    routes.join(interest("a.x"), recorder, push)
    at_once(routes.deliver([event(5, "a.x", "k")], at(4)))
    assert (seen, routes.underway_after) == ([at(4)], None)
