"""(topic, key) -> cohorts, in plain dicts: an event costs what it is delivered to, not who waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from adohub.hub.cohort import SLICE_BYTES, Bodies, Cohort, Interest, Member, Push
from adohub.model import Event, Position
from adohub.topics import is_wild, matches

MAX_CACHED_TOPICS = 4096
"""For how many topics it is remembered which patterns match them."""

_Bucket = dict[Cohort, None]


class Routes:
    """Who gets what. Joining, leaving and each step of a delivery are synchronous.

    `cohort` makes a cohort of an interest: the fast one, unless it is to be compared with its slow twin.
    """

    def __init__(self, cohort: Callable[[Interest], Cohort] = Cohort) -> None:
        self._cohort = cohort
        self._cohorts: dict[Interest, Cohort] = {}
        self._by_topic: dict[str, dict[str | None, _Bucket]] = {}
        self._wild_topics: dict[str, tuple[str, ...]] = {}

    def join(self, interest: Interest, member: Member, push: Push) -> None:
        """From the next delivery on `member` gets what `interest` chooses."""
        cohort = self._cohorts.get(interest)
        if cohort is None:
            cohort = self._cohorts[interest] = self._cohort(interest)
            self._add(cohort)
        cohort.members[member] = push

    def leave(self, interest: Interest, member: Member) -> None:
        """`member` gets nothing more."""
        cohort = self._cohorts.get(interest)
        if cohort is not None and cohort.members.pop(member, None) is not None and not cohort.members:
            self._remove(cohort)

    def deliver(self, batch: Sequence[Event], before: Position) -> Iterator[None]:
        """Give each event of `batch` to its cohorts, step by step; others may run between two steps.

        The first step decides who gets what. `before` is the head before the batch.
        """
        done = 0
        for cohort, slices in [(cohort, cohort.flush(before)) for cohort in self._stage(batch)]:
            for cost in slices:
                done += cost
                if done >= SLICE_BYTES:
                    done = 0
                    yield
            if not cohort.members:
                self._remove(cohort)

    def _stage(self, batch: Sequence[Event]) -> _Bucket:
        """The cohorts that have something to flush."""
        touched: _Bucket = {}
        for event in batch:
            bodies: Bodies = {}
            for cohort in self._cohorts_of(event):
                if cohort.stage(event, bodies):
                    touched[cohort] = None
        return touched

    @property
    def members(self) -> int:
        """How many live subscriptions there are."""
        return sum(len(cohort.members) for cohort in self._cohorts.values())

    def _cohorts_of(self, event: Event) -> Iterator[Cohort]:
        for pattern in (event.topic, *self._patterns_of(event.topic)):
            by_key = self._by_topic.get(pattern)
            if by_key is not None:
                yield from by_key.get(event.key, ())
                if event.key is not None:
                    yield from by_key.get(None, ())

    def _patterns_of(self, topic: str) -> tuple[str, ...]:
        patterns = self._wild_topics.get(topic)
        if patterns is None:
            if len(self._wild_topics) >= MAX_CACHED_TOPICS:
                self._wild_topics.clear()
            patterns = tuple(one for one in self._by_topic if is_wild(one) and matches(one, topic))
            self._wild_topics[topic] = patterns
        return patterns

    def _add(self, cohort: Cohort) -> None:
        for pattern in cohort.interest.reading.topics:
            if pattern not in self._by_topic and is_wild(pattern):
                self._wild_topics.clear()
            by_key = self._by_topic.setdefault(pattern, {})
            by_key.setdefault(cohort.interest.selection.key, {})[cohort] = None

    def _remove(self, cohort: Cohort) -> None:
        if self._cohorts.get(cohort.interest) is not cohort:  # its last member left between two steps
            return
        del self._cohorts[cohort.interest]
        key = cohort.interest.selection.key
        for pattern in cohort.interest.reading.topics:
            by_key = self._by_topic[pattern]
            by_key[key].pop(cohort, None)
            if not by_key[key]:
                del by_key[key]
            if not by_key:
                del self._by_topic[pattern]
                if is_wild(pattern):
                    self._wild_topics.clear()
