"""`task.*` as the contract has it: fields, limits, and when the channels begin and end."""

from __future__ import annotations

from typing import Any

import pytest

from adohub.errors import PeerError
from tests.builtin.socketless import Refused, Running

NOON = "2026-01-02T12:00:00.000Z"


def progress(percent: float, task: str = "t1", **more: object) -> dict[str, Any]:
    return {"taskId": task, "phase": "impl", "progress": percent, "message": "", "timestamp": NOON} | more


def completed(task: str = "t1", **more: object) -> dict[str, Any]:
    return {"taskId": task, "status": "completed", "duration": 1200, "artifacts": []} | more


async def test_progress_begins_with_the_latest_and_completes_with_the_task(hub: Running) -> None:
    for percent in (10, 20):
        await hub.publish("task.progress", progress(percent))
    await hub.publish("task.progress", progress(99, "t2"))
    watcher = await hub.subscribe("stream.onTaskProgress", {"taskId": "t1"})
    assert watcher.data == [progress(20)]
    await hub.publish("task.progress", progress(30.5))
    await hub.publish("task.completed", completed("t2"))
    await hub.publish("task.completed", completed())
    await hub.publish("task.progress", progress(40))
    assert watcher.data == [progress(20), progress(30.5), "stopped"]
    assert watcher.over


async def test_progress_of_a_task_that_is_done_completes_at_once(hub: Running) -> None:
    await hub.publish("task.progress", progress(100))
    await hub.publish("task.completed", completed())
    watcher = await hub.subscribe("stream.onTaskProgress", {"taskId": "t1"})
    assert watcher.data == [progress(100), "stopped"]
    quiet = await hub.subscribe("stream.onTaskProgress", {"taskId": "t1", "replay": "none"})
    assert quiet.data == ["stopped"]


async def test_all_progress_is_replayed_when_asked_for(hub: Running) -> None:
    for percent in (10, 20):
        await hub.publish("task.progress", progress(percent))
    watcher = await hub.subscribe("stream.onTaskProgress", {"taskId": "t1", "replay": "all"})
    assert watcher.data == [progress(10), progress(20)]


async def test_completion_shows_itself_and_then_completes(hub: Running) -> None:
    early = await hub.subscribe("stream.onTaskCompleted", {"taskId": "t1"})
    await hub.publish("task.completed", completed(status="failed", artifacts=[{"name": "log"}]))
    late = await hub.subscribe("stream.onTaskCompleted", {"taskId": "t1"})
    expected = [completed(status="failed", artifacts=[{"name": "log"}]), "stopped"]
    assert early.data == late.data == expected


async def test_artifacts_have_the_contracts_names_and_leave_out_what_is_not_known(hub: Running) -> None:
    whole = {"name": "a", "kind": "image", "uri": "file:///a", "size": 5, "mediaType": "image/png"}
    await hub.publish("task.completed", completed(artifacts=[whole, {"name": "b", "kind": None}]))
    watcher = await hub.subscribe("stream.onTaskCompleted", {"taskId": "t1"})
    assert watcher.data[0]["artifacts"] == [whole, {"name": "b"}]


async def test_a_tracked_twin_carries_the_id_beside_the_event(hub: Running) -> None:
    event_id = await hub.publish("task.progress", progress(10))
    watcher = await hub.subscribe("tracked.onTaskProgress", {"taskId": "t1"})
    assert watcher.data == [{"id": event_id, "data": progress(10)}]


@pytest.mark.parametrize(
    ("topic", "payload", "message"),
    [
        ("task.progress", progress(101), "progress: expected at most 100, got 101"),
        ("task.progress", progress(-0.5), "progress: expected at least 0, got -0.5"),
        (
            "task.progress",
            progress(1, phase="deploy"),
            'phase: expected one of "spec", "impl", "test", "validate"',
        ),
        ("task.progress", progress(1, message=None), "message: expected string, got null"),
        (
            "task.completed",
            completed(status="done"),
            'status: expected one of "completed", "failed", got "done"',
        ),
        ("task.completed", completed(artifacts=None), "artifacts: expected list, got null"),
        ("task.completed", completed(artifacts=[{"size": -1}]), "artifacts[0].name: required"),
        ("task.completed", {"taskId": "t"}, "status: required; duration: required; artifacts: required"),
    ],
)
async def test_a_payload_that_the_contract_does_not_allow(
    hub: Running, topic: str, payload: object, message: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await hub.publish(topic, payload)
    code, told = refusal.value.args
    assert code == "BAD_REQUEST"
    assert told.startswith(message)


async def test_a_missing_task_id_is_named_on_every_channel(hub: Running) -> None:
    for path in ("stream.onTaskProgress", "stream.onTaskCompleted", "stream.onAgentOutput"):
        with pytest.raises(PeerError, match=r"^taskId: required$"):
            await hub.subscribe(path, {})
