"""`system.*`: workers that come and go, providers that change state."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from attrs import field, frozen

from adohub import Channel, Topic, hookimpl, now

TOPICS = ("system.worker.added", "system.worker.removed", "system.provider.status")


@frozen
class SystemEvent:
    """Something happened to the system itself; what `payload` holds depends on `type`."""

    type: Literal["worker.added", "worker.removed", "provider.status"]
    payload: Any
    timestamp: datetime = field(factory=now)


@hookimpl
def adohub_topics(config: object) -> list[Topic]:
    return [Topic(name, SystemEvent) for name in TOPICS]


@hookimpl
def adohub_channels(config: object) -> list[Channel]:
    return [Channel("stream.onSystemEvent", topics=TOPICS)]
