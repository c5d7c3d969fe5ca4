"""A dashboard that is opened late shows what runs at once, however little history there is."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.cli.processes import Hub, publish, serving, sqlite_at
from tests.running import completed, open_peer, progress

KEPT = 20
"""How many events history has."""

RUNNING = [f"task-{number}" for number in range(5)]
DONE = "done"


async def run_tasks(hub: Hub) -> None:
    """All run, DONE is done, and then so much happens that history holds none of it."""
    for percent in (10, 20):
        await publish(hub.url, *(("task.progress", progress(task, percent)) for task in [*RUNNING, DONE]))
    await publish(hub.url, ("task.completed", completed(DONE)))
    await make_noise(hub, 2 * KEPT)


async def make_noise(hub: Hub, number: int) -> str:
    """`number` events of no task; the id of the last one."""
    noise = {"taskId": "noise", "agentId": "a", "type": "stdout", "content": ""}
    return (await publish(hub.url, *[("agent.output", noise)] * number))[-1]


async def dashboard(hub: Hub) -> dict[str, float | str]:
    """What a newcomer is shown of each task at once: how far it is, or its status."""
    shown: dict[str, float | str] = {}
    async with open_peer(hub.url) as peer:
        wanted = {"topics": ["task.*", "agent.*"], "replay": "last"}
        await peer.subscribe(1, "stream.onEvent", wanted)
        last = await make_noise(hub, 1)
        while (event := (await peer.hear())["result"]["data"])["id"] != last:
            if event["topic"] != "agent.output":
                payload = event["payload"]
                shown[event["key"]] = payload.get("progress", payload.get("status"))
    return shown


async def watch(hub: Hub, task: str, messages: int) -> list[float | str]:
    """The first that a newcomer is told who watches `task`: how far it is, or that this is all."""
    async with open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": task})
        results = [message["result"] for message in await peer.hear_all(messages)]
    return [one["data"]["progress"] if one["type"] == "data" else one["type"] for one in results]


async def test_each_running_task_is_shown_beyond_history_and_across_a_restart(tmp_path: Path) -> None:
    toml = sqlite_at(tmp_path / "hub.db", max_events=KEPT)
    async with serving(tmp_path, toml) as hub:
        await run_tasks(hub)
        expected = {**dict.fromkeys(RUNNING, 20), DONE: "completed"}
        assert await dashboard(hub) == expected
        assert await watch(hub, RUNNING[0], 1) == [20]
        await hub.kill()
    async with serving(tmp_path, toml) as again:
        assert await dashboard(again) == expected
        assert await watch(again, RUNNING[0], 1) == [20]
        assert await watch(again, DONE, 2) == [20, "stopped"]


async def test_a_task_that_is_done_is_shown_no_more_after_its_time(tmp_path: Path) -> None:
    toml = sqlite_at(tmp_path / "hub.db", max_events=KEPT, keep_ended_s=1)
    async with serving(tmp_path, toml) as hub:
        await run_tasks(hub)
        await until_gone(hub)
        await publish(hub.url, ("task.progress", progress(DONE, 1)), ("task.completed", completed(DONE)))
        await make_noise(hub, 2 * KEPT)
        await hub.kill()
    async with serving(tmp_path, toml) as again:
        await until_gone(again)


async def until_gone(hub: Hub) -> None:
    """Return once the dashboard shows nothing but what runs."""
    while (shown := await dashboard(hub)) != dict.fromkeys(RUNNING, 20):
        assert shown == {**dict.fromkeys(RUNNING, 20), DONE: "completed"}
        await trio.sleep(0.05)
