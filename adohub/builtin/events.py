"""`events.*` and `stream.onEvent`: publish anything declared, look back, watch by pattern."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any

from attrs import Attribute, field, frozen, validators

from adohub import (
    Call,
    Channel,
    OverLimit,
    Pending,
    Procedure,
    PublishRequest,
    Receipt,
    Selection,
    WholeEvent,
    hookimpl,
    is_pattern,
)

DEFAULT_HISTORY_EVENTS = 100

MOST_PATTERNS = 10_000
"""Patterns that `max_patterns` can allow, and that are read before it is asked: a message holds many more."""


@frozen
class EventsConfig:
    """`[plugin.events]`: how many patterns one subscription or query may name, and events one batch hold."""

    max_patterns: int = field(default=64, validator=[validators.ge(1), validators.le(MOST_PATTERNS)])
    max_events_at_once: int = field(default=10_000, validator=validators.ge(1))

    def check_patterns(self, patterns: Sequence[str]) -> None:
        """Raises OverLimit."""
        if len(patterns) > self.max_patterns:
            message = f"topics: expected 1 to {self.max_patterns} patterns"
            raise OverLimit("max_patterns", "BAD_REQUEST", message)

    def check_events(self, events: Sequence[object]) -> None:
        """Raises OverLimit."""
        if len(events) > self.max_events_at_once:
            message = f"events: expected 1 to {self.max_events_at_once} events"
            raise OverLimit("max_events_at_once", "BAD_REQUEST", message)


def _patterns(instance: object, attribute: Attribute[Any], value: Sequence[str]) -> None:
    if not value:
        raise ValueError("expected at least 1 pattern")
    for pattern in value[:MOST_PATTERNS]:
        if not is_pattern(pattern):
            raise ValueError(f'"{pattern[:80]}" is no topic pattern (like "task.*" or "agent.**")')


@frozen
class PublishManyInput:
    """Several events, kept all or none."""

    events: Sequence[PublishRequest] = field(validator=validators.min_len(1))


@frozen
class EventsInput:
    """Which events: of topics that match any of the patterns, and of this key if one is given."""

    topics: Sequence[str] = field(validator=_patterns)
    key: str | None = None


@frozen
class HistoryInput:
    """Which events, after which event id, and at most how many."""

    topics: Sequence[str] = field(validator=_patterns)
    key: str | None = None
    after: str | None = None
    limit: int = field(default=DEFAULT_HISTORY_EVENTS, validator=validators.ge(1))


@frozen
class Published:
    """The event is kept, under this id and with this timestamp."""

    id: str
    timestamp: datetime


@frozen
class PublishedMany:
    """The events are kept, under these ids."""

    ids: Sequence[str]


@frozen
class HistoryPage:
    """Some events, in their order; `next` is a value for `after`, or null at the end."""

    events: Sequence[WholeEvent]
    next: str | None


def publish(input: PublishRequest, call: Call) -> Pending[Any]:
    """Answers `{id, timestamp}` once storage holds the event."""
    return call.hub.submit(call.principal, [input]).then(_receipt)


def _receipt(receipts: Sequence[Receipt]) -> Any:
    [receipt] = receipts
    return {"id": str(receipt.position), "timestamp": receipt.timestamp}


def publish_many(input: PublishManyInput, call: Call) -> Pending[Any]:
    """Answers `{ids}` once storage holds them all."""
    return call.hub.submit(call.principal, input.events).then(_ids)


def _ids(receipts: Sequence[Receipt]) -> Any:
    return {"ids": [str(receipt.position) for receipt in receipts]}


async def history(input: HistoryInput, call: Call) -> Any:
    """Answers `{events, next}`; `next` is a value for `after`, or null at the end."""
    selection = Selection(input.topics, key=input.key)
    page = await call.hub.history(call.principal, selection, input.after, input.limit)
    events = [
        {
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "payload": event.noted_payload,
            "timestamp": event.timestamp,
        }
        for event in page.events
    ]
    return {"events": events, "next": str(page.reached) if page.more else None}


@hookimpl
def adohub_config_type() -> type[EventsConfig]:
    return EventsConfig


@hookimpl
def adohub_procedures(config: EventsConfig) -> list[Procedure]:
    def publish_few(input: PublishManyInput, call: Call) -> Pending[Any]:
        config.check_events(input.events)
        return publish_many(input, call)

    def look_back(input: HistoryInput, call: Call) -> Coroutine[Any, Any, Any]:
        config.check_patterns(input.topics)
        return history(input, call)

    return [
        Procedure("events.publish", "mutation", publish, PublishRequest, Published),
        Procedure("events.publishMany", "mutation", publish_few, PublishManyInput, PublishedMany),
        Procedure("events.history", "query", look_back, HistoryInput, HistoryPage),
    ]


@hookimpl
def adohub_channels(config: EventsConfig) -> list[Channel]:
    def select(input: EventsInput) -> Selection:
        config.check_patterns(input.topics)
        return Selection(input.topics, key=input.key)

    return [Channel("stream.onEvent", input=EventsInput, select=select, whole=True)]
