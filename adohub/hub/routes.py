"""(topic, key) -> cohorts, in plain dicts: an event costs what it is delivered to, not who waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from adohub.hub.cohort import SLICE_BYTES, Bodies, Cohort, Interest, Member, Push, Slice
from adohub.model import Event, Position
from adohub.topics import Selection, is_wild, matches

MAX_CACHED_TOPICS = 4096
"""For how many topics it is remembered which patterns match them."""

FEW_COHORTS = 8
"""How many cohorts in one place are a tuple, which is small; more are a dict, which is quick to change."""

FEW_MEMBERS = 8
"""How many members a cohort may have to be flushed at once, which comes cheaper than slices."""

_Bucket = tuple[Cohort, ...] | dict[Cohort, None]
_Key = str | None | tuple[str]
"""A key; None for every key; in a tuple of its own what keys begin with."""


class _ByKey(dict[_Key, _Bucket]):
    """Cohorts by what they want of the keys. `lengths`: how many prefixes there are of each length."""

    __slots__ = ("lengths",)

    def __init__(self) -> None:
        super().__init__()
        self.lengths: Counter[int] = Counter()

    def add(self, key: _Key, cohort: Cohort) -> None:
        if isinstance(key, tuple) and key not in self:
            self.lengths[len(key[0])] += 1
        self[key] = _with(self.get(key, ()), cohort)

    def remove(self, key: _Key, cohort: Cohort) -> None:
        self[key] = _without(self[key], cohort)
        if not self[key]:
            del self[key]
            if isinstance(key, tuple):
                self.lengths -= Counter([len(key[0])])

    def prefixed(self, key: str) -> Iterator[Cohort]:
        """The cohorts that want keys which begin as `key` does."""
        for length in self.lengths:
            yield from self.get((key[:length],), ()) if length <= len(key) else ()


def _key(selection: Selection) -> _Key:
    if selection.key is None and selection.prefix:
        return (selection.prefix,)
    return selection.key


class Routes:
    """Who gets what. Joining, leaving and each step of a delivery are synchronous.

    `cohort` makes a cohort of an interest: the fast one, unless it is to be compared with its slow twin.
    """

    def __init__(self, cohort: Callable[[Interest], Cohort] = Cohort) -> None:
        self._cohort = cohort
        self.given = 0
        """How many messages have been handed to members."""
        self.underway_after: Position | None = None
        """The head before the delivery that goes on just now: not everybody has been given what follows."""
        self._listeners: dict[str, Callable[[Event], None]] = {}
        self._cohorts: dict[Interest, Cohort] = {}
        self._by_pattern: dict[str, _ByKey] = {}
        self._matching: dict[str, tuple[_ByKey, ...]] = {}
        """By topic what is in `_by_pattern` for it, as far as it has been looked up."""

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

    def listen(self, topic: str, tell: Callable[[Event], None]) -> None:
        """From the next delivery on `tell`, which must not raise, gets the events of `topic` first."""
        self._listeners[topic] = tell

    def interrupt(self, position: Position) -> None:
        """All members leave and are told: theirs was everything up to `position`, and its epoch is over."""
        members = [member for cohort in self._cohorts.values() for member in cohort.members]
        for cohort in self._cohorts.values():
            cohort.members.clear()
        self._cohorts.clear()
        self._by_pattern.clear()
        self._matching.clear()
        for member in members:
            member.interrupt(position)

    def deliver(self, batch: Sequence[Event], before: Position) -> Iterator[None]:
        """Give each event of `batch` to its cohorts, step by step; others may run between two steps.

        The first step decides who gets what. `before` is the head before the batch.
        """
        self.underway_after = before
        done, flushes = 0, list[tuple[Cohort, Iterator[Slice]]]()
        for cohort in self._stage(batch):
            if done >= SLICE_BYTES or len(cohort.members) > FEW_MEMBERS:
                flushes.append((cohort, cohort.flush(before)))
                continue
            cost, given = cohort.flush_at_once(before)
            done += cost
            self.given += given
            if not cohort.members:
                self._remove(cohort)
        if done >= SLICE_BYTES:
            done = 0
            yield
        for cohort, slices in flushes:
            for cost, given in slices:
                done += cost
                self.given += given
                if done >= SLICE_BYTES:
                    done = 0
                    yield
            if not cohort.members:
                self._remove(cohort)
        self.underway_after = None

    def _stage(self, batch: Sequence[Event]) -> Iterable[Cohort]:
        """The cohorts that have something to flush."""
        touched: dict[Cohort, None] = {}
        for event in batch:
            bodies: Bodies = {}
            if event.topic in self._listeners:
                self._listeners[event.topic](event)
            found = self._matching.get(event.topic)
            for by_key in self._look_up(event.topic) if found is None else found:
                for cohort in by_key.get(event.key, ()):
                    if cohort.stage(event, bodies):
                        touched[cohort] = None
                if event.key is not None:
                    for cohort in by_key.get(None, ()):
                        if cohort.stage(event, bodies):
                            touched[cohort] = None
                    if by_key.lengths:
                        for cohort in by_key.prefixed(event.key):
                            if cohort.stage(event, bodies):
                                touched[cohort] = None
        return touched

    @property
    def members(self) -> int:
        """How many live subscriptions there are."""
        return sum(len(cohort.members) for cohort in self._cohorts.values())

    def _look_up(self, topic: str) -> tuple[_ByKey, ...]:
        if len(self._matching) >= MAX_CACHED_TOPICS:
            self._matching.clear()
        found = tuple(by_key for pattern, by_key in self._by_pattern.items() if matches(pattern, topic))
        self._matching[topic] = found
        return found

    def _forget(self, pattern: str) -> None:
        """`pattern` has come or gone."""
        if is_wild(pattern):
            self._matching.clear()
        else:
            self._matching.pop(pattern, None)

    def _add(self, cohort: Cohort) -> None:
        for pattern in cohort.interest.reading.topics:
            by_key = self._by_pattern.get(pattern)
            if by_key is None:
                by_key = self._by_pattern[pattern] = _ByKey()
                self._forget(pattern)
            by_key.add(_key(cohort.interest.selection), cohort)

    def _remove(self, cohort: Cohort) -> None:
        if self._cohorts.get(cohort.interest) is not cohort:  # its last member left between two steps
            return
        del self._cohorts[cohort.interest]
        for pattern in cohort.interest.reading.topics:
            by_key = self._by_pattern[pattern]
            by_key.remove(_key(cohort.interest.selection), cohort)
            if not by_key:
                del self._by_pattern[pattern]
                self._forget(pattern)


def _with(bucket: _Bucket, cohort: Cohort) -> _Bucket:
    if isinstance(bucket, tuple):
        if len(bucket) < FEW_COHORTS:
            return (*bucket, cohort)
        bucket = dict.fromkeys(bucket)
    bucket[cohort] = None
    return bucket


def _without(bucket: _Bucket, cohort: Cohort) -> _Bucket:
    if isinstance(bucket, tuple):
        return tuple(one for one in bucket if one is not cohort)
    bucket.pop(cohort, None)
    return bucket
