"""`agent.output`: what an agent says while it works on a task."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from adohub import Channel, Topic, hookimpl, now


@frozen
class AgentOutputEvent:
    """A piece of output, as it came: `content` may be several lines, or part of one."""

    task_id: str
    agent_id: str
    type: Literal["stdout", "stderr", "tool_call", "tool_result"]
    content: str
    timestamp: datetime = field(factory=now)


@hookimpl
def adohub_topics(config: object) -> list[Topic]:
    return [Topic("agent.output", AgentOutputEvent, key="taskId")]


@hookimpl
def adohub_channels(config: object) -> list[Channel]:
    return [
        Channel(
            "stream.onAgentOutput",
            topics=["agent.output"],
            key="taskId",
            where=["agentId"],
            completes_on="task.completed",
        )
    ]
