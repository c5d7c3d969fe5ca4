"""`task.*`: how far a task is, and that it is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from attrs import field, frozen, validators

from adohub import Channel, Topic, hookimpl, now


@frozen
class TaskProgressEvent:
    """How far a task is: `progress` percent of `phase`."""

    task_id: str
    phase: Literal["spec", "impl", "test", "validate"]
    progress: float = field(validator=[validators.ge(0), validators.le(100)])
    message: str
    timestamp: datetime = field(factory=now)


@frozen
class Artifact:
    """Something a task has made. `size` in bytes."""

    name: str
    kind: str | None = None
    uri: str | None = None
    size: int | None = None
    media_type: str | None = None


@frozen
class TaskCompletedEvent:
    """A task is done. `duration` in milliseconds."""

    task_id: str
    status: Literal["completed", "failed"]
    duration: float
    artifacts: Sequence[Artifact]


@hookimpl
def adohub_topics(config: object) -> list[Topic]:
    return [
        Topic("task.progress", TaskProgressEvent, key="taskId"),
        Topic("task.completed", TaskCompletedEvent, key="taskId"),
    ]


@hookimpl
def adohub_channels(config: object) -> list[Channel]:
    return [
        Channel(
            "stream.onTaskProgress",
            topics=["task.progress"],
            key="taskId",
            replay="last",
            completes_on="task.completed",
        ),
        Channel(
            "stream.onTaskCompleted",
            topics=["task.completed"],
            key="taskId",
            replay="last",
            completes_on="task.completed",
        ),
    ]
