"""`[storage]`: who keeps events, and one table for each engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

from adohub.config.keys import FILLED, NOT_NEGATIVE, POSITIVE, Example, about


@frozen
class Sqlite:
    """The engine "sqlite"."""

    path: str = field(default="adohub.db", validator=FILLED, metadata=about("The database file."))
    synchronous: Literal["full", "normal"] = field(
        default="full",
        metadata=about('"full" keeps every acknowledged event through a power cut, "normal" is faster.'),
    )


@frozen
class Redis:
    """The engine "redis", which several hubs can share."""

    url: str = field(
        default="redis://localhost:6379/0",
        repr=False,
        validator=FILLED,
        metadata=about("Where Redis is.", secret=True),
    )
    prefix: str = field(
        default="ado", validator=FILLED, metadata=about("First part of every key and channel in Redis.")
    )
    publish_timeout_ms: int = field(
        default=5000,
        validator=POSITIVE,
        metadata=about(
            "How long publishing waits for a Redis that is gone, then it fails.", unit="milliseconds"
        ),
    )
    wait_replicas: int = field(
        default=0,
        validator=NOT_NEGATIVE,
        metadata=about("How many replicas must have an event before it is acknowledged; 0 asks none."),
    )


@frozen
class Storage:
    """Who keeps events, how many and how long."""

    engine: str = field(
        default="memory",
        validator=FILLED,
        metadata=about('Storage engine: "memory", "sqlite", or one a plugin brings.'),
    )
    max_events: int = field(
        default=100000, validator=POSITIVE, metadata=about("Events kept for replay; the oldest go first.")
    )
    max_age_s: int = field(
        default=86400, validator=POSITIVE, metadata=about("How long an event is kept.", unit="seconds")
    )
    idempotency_window_s: int = field(
        default=300,
        validator=NOT_NEGATIVE,
        metadata=about(
            "How long an idempotency key is remembered: an event sent again within it is kept once.",
            unit="seconds",
        ),
    )
    keep_ended_s: int = field(
        default=3600,
        validator=NOT_NEGATIVE,
        metadata=about(
            "How long newcomers are still shown the last of a task that has completed.", unit="seconds"
        ),
    )
    sqlite: Sqlite = field(factory=Sqlite, metadata=about(Sqlite.__doc__))
    redis: Redis = field(factory=Redis, metadata=about(Redis.__doc__))
    engines: Mapping[str, Mapping[str, Any]] = field(
        factory=dict,
        metadata=about(
            "Each [storage.NAME] is handed to the engine NAME as it stands.",
            example=Example("NAME", {"key": "value"}),
        ),
    )
