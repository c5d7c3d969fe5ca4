"""Notes that people leave on tasks: a topic, a channel and a setting, and that is the whole plugin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import field, frozen

from adohub import Call, Channel, PeerError, Procedure, PublishRequest, Topic, hookimpl, now


@frozen
class Settings:
    """`[plugin.notes]`: how long a note may be, in characters."""

    max_chars: int = 2000


@frozen
class Note:
    """What somebody has to say about a task."""

    task_id: str
    author: str
    text: str
    timestamp: datetime = field(factory=now)


@frozen
class AddInput:
    """The input of `notes.add`; the author is whoever calls."""

    task_id: str
    text: str


@frozen
class Added:
    """The note is kept, as the event of this id."""

    id: str


@hookimpl
def adohub_config_type() -> type[Settings]:
    return Settings


@hookimpl
def adohub_topics(config: Settings) -> list[Topic]:
    return [Topic("note.added", Note, key="taskId")]


@hookimpl
def adohub_channels(config: Settings) -> list[Channel]:
    return [Channel("notes.onNote", topics=["note.added"], key="taskId", replay="all")]


@hookimpl
def adohub_procedures(config: Settings) -> list[Procedure]:
    async def add(input: AddInput, call: Call) -> Any:
        if len(input.text) > config.max_chars:
            raise PeerError("BAD_REQUEST", f"text: expected at most {config.max_chars} characters")
        note = Note(input.task_id, call.principal.name, input.text)
        [receipt] = await call.hub.submit(call.principal, [PublishRequest("note.added", note)])
        return {"id": str(receipt.position)}

    return [Procedure("notes.add", "mutation", add, AddInput, Added)]
