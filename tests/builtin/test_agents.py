"""`agent.output` as the contract has it: one task's output, or one agent's of it, until the task is done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builtin.socketless import Refused, Running

NOON = "2026-01-02T12:00:00.000Z"


def output(content: str, agent: str = "a1", task: str = "t1", **more: object) -> dict[str, Any]:
    shown = {"taskId": task, "agentId": agent, "type": "stdout", "content": content, "timestamp": NOON}
    return shown | more


async def test_output_is_a_tasks_or_one_agents_and_completes_with_the_task(hub: Running) -> None:
    await hub.publish("agent.output", output("before"))
    everything = await hub.subscribe("stream.onAgentOutput", {"taskId": "t1"})
    one = await hub.subscribe("stream.onAgentOutput", {"taskId": "t1", "agentId": "a2"})
    await hub.publish("agent.output", output("1\n"))
    await hub.publish("agent.output", output("2", "a2"))
    await hub.publish("agent.output", output("3", "a2", "t2"))
    done = {"taskId": "t1", "status": "failed", "duration": 1, "artifacts": []}
    await hub.publish("task.completed", done)
    assert everything.data == [output("1\n"), output("2", "a2"), "stopped"]
    assert one.data == [output("2", "a2"), "stopped"]


async def test_output_is_replayed_whole_when_asked_for(hub: Running) -> None:
    await hub.publish("agent.output", output("1"))
    await hub.publish("agent.output", output("2", "a2"))
    one = await hub.subscribe("stream.onAgentOutput", {"taskId": "t1", "agentId": "a2", "replay": "all"})
    assert one.data == [output("2", "a2")]


@pytest.mark.parametrize("type_", ["stdout", "stderr", "tool_call", "tool_result"])
async def test_the_kinds_of_output(hub: Running, type_: str) -> None:
    watcher = await hub.subscribe("stream.onAgentOutput", {"taskId": "t1"})
    await hub.publish("agent.output", output("x", type=type_))
    assert watcher.data == [output("x", type=type_)]


async def test_another_kind_is_refused(hub: Running) -> None:
    with pytest.raises(Refused, match='type: expected one of "stdout", "stderr", "tool_call", "tool_result"'):
        await hub.publish("agent.output", output("x", type="stdin"))
