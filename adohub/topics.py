"""Topic names and the patterns that choose among them.

A topic is dotted lower-case segments, `task.progress`. In a pattern `*` stands for one segment and a last
`**` for whatever follows, nothing included: `task.*`, `task.**`, `**`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from attrs import field, frozen
from attrs.converters import optional

from adohub.model import Event, texts

_SEGMENT = r"[a-z0-9][a-z0-9_-]*"
_TOPIC = re.compile(rf"{_SEGMENT}(\.{_SEGMENT})*")
_PATTERN = re.compile(rf"(({_SEGMENT}|\*)(\.({_SEGMENT}|\*))*(\.\*\*)?)|\*\*")

MAX_TOPIC_CHARS = 200
"""The longest topic name or pattern, in characters."""


def is_topic(name: str) -> bool:
    """Whether `name` can be a topic's."""
    return len(name) <= MAX_TOPIC_CHARS and _TOPIC.fullmatch(name) is not None


def is_pattern(text: str) -> bool:
    """Whether `text` is a pattern; every topic name is one, too."""
    return len(text) <= MAX_TOPIC_CHARS and _PATTERN.fullmatch(text) is not None


def is_wild(pattern: str) -> bool:
    """Whether `pattern` can match more than the one topic of its name."""
    return "*" in pattern


def matches(pattern: str, topic: str) -> bool:
    """Whether `pattern` chooses `topic`."""
    return pattern == topic or ("*" in pattern and _matcher(pattern)(topic))


@lru_cache(maxsize=4096)
def _matcher(pattern: str) -> Callable[[str], bool]:
    segments = pattern.split(".")
    rest = segments[-1] == "**"
    fixed = [
        r"[^.]+" if segment == "*" else re.escape(segment) for segment in segments[: -1 if rest else None]
    ]
    if not rest:
        expression = r"\.".join(fixed)
    elif fixed:
        expression = r"\.".join(fixed) + r"(\..+)?"
    else:
        expression = r".+"
    compiled = re.compile(expression)
    return lambda topic: compiled.fullmatch(topic) is not None


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    """`values` in order, each once: whoever looks topics up one by one must not find an event twice."""
    return tuple(dict.fromkeys(texts(values)))


def _pairs(values: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(values)


@frozen
class Selection:
    """Which events a subscription or a history query is about; equal selections choose the same events.

    `topics` are patterns, any of which may match. `key` None means every key, of which `prefix` leaves those
    that begin with it. `where` are further payload fields, by wire name, that must equal these texts.
    `visible` are the patterns of what the asker may see at all; None means everything. `permits(topic, key)`
    has a say about each event besides; it is hashable, and equal to what decides alike.
    """

    topics: Sequence[str] = field(converter=_distinct)
    key: str | None = None
    where: Sequence[tuple[str, str]] = field(default=(), converter=_pairs)
    visible: Sequence[str] | None = field(default=None, converter=optional(texts))
    prefix: str | None = None
    permits: Callable[[str, str | None], bool] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether it names its topics one by one."""
        return not any(map(is_wild, self.topics))

    def covers(self, topic: str) -> bool:
        """Whether events of `topic` can be chosen."""
        return any(matches(pattern, topic) for pattern in self.topics) and (
            self.visible is None or any(matches(pattern, topic) for pattern in self.visible)
        )

    @property
    def is_plain(self) -> bool:
        """Whether topic and key say it all, so that `admits` has nothing left to look at."""
        return not self.where and self.prefix is None and self.permits is None

    def admits(self, event: Event) -> bool:
        """Whether an event of a covered topic and of the right `key` is chosen."""
        if self.prefix is not None and not (event.key or "").startswith(self.prefix):
            return False
        if self.permits is not None and not self.permits(event.topic, event.key):
            return False
        if not self.where:
            return True
        payload = event.payload
        return all(payload.get(name) == value for name, value in self.where)

    def chooses(self, event: Event) -> bool:
        """Whether `event` is chosen."""
        return (self.key is None or self.key == event.key) and self.covers(event.topic) and self.admits(event)

    def choose(self, events: Sequence[Event]) -> Sequence[Event]:
        """Those of `events` that are chosen, in a tenth of the time of asking for each."""
        covered = {topic for topic in {event.topic for event in events} if self.covers(topic)}
        key = self.key
        if self.is_plain:
            return [event for event in events if event.topic in covered and key in (None, event.key)]
        return [
            event
            for event in events
            if event.topic in covered and key in (None, event.key) and self.admits(event)
        ]
