"""The program adohub was begun for works as its users have it: data, errors, completion, loss."""

from __future__ import annotations

import pytest

from adohub.config import Config, Server
from adohub.plugin.registry import Contribution
from tests.clients.puppet import VERSIONS, Version, seed
from tests.running import FREE_PORT, completed, gates_made, open_peer, progress, running_hub, until

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)


@EACH_VERSION
async def test_it_sees_its_tasks_progress_and_its_completion(version: Version) -> None:
    async with running_hub() as hub, open_peer(hub.url) as publisher, seed(version, hub.url) as printed:
        await publisher.publish("task.progress", progress("task-123", 10, "begun"))
        await printed.until(lambda printed: printed.data)  # live, or replayed: both are "last"
        await publisher.publish("task.progress", progress("another", 50))
        await publisher.publish("task.progress", progress("task-123", 90, "nearly"))
        await publisher.publish("task.completed", completed("task-123"))
        await printed.until(lambda printed: "complete" in printed.events)
        assert printed.events == ["data", "data", "complete"]
        assert [(event["progress"], event["message"]) for event in printed.data] == [
            (10, "begun"),
            (90, "nearly"),
        ]
        assert all(event["timestamp"].endswith("Z") for event in printed.data)


@EACH_VERSION
async def test_of_a_task_that_is_done_it_sees_the_last_progress_and_completes(version: Version) -> None:
    async with running_hub() as hub, open_peer(hub.url) as publisher:
        await publisher.publish("task.progress", progress("task-123", 99))
        await publisher.publish("task.completed", completed("task-123"))
        async with seed(version, hub.url) as printed:
            await printed.until(lambda printed: "complete" in printed.events)
            assert printed.events == ["data", "complete"]


@EACH_VERSION
async def test_it_is_told_why_it_may_not(version: Version) -> None:
    strict = Contribution("strict", authorizers=[lambda principal, action, resource: False])
    async with running_hub(FREE_PORT, strict) as hub, seed(version, hub.url) as printed:
        await printed.until(lambda printed: printed.errors)
        assert printed.log == [
            ("error", {"message": 'anonymous may not subscribe "task.progress"', "code": "FORBIDDEN"})
        ]


@EACH_VERSION
async def test_it_comes_back_to_a_hub_that_was_restarted(version: Version) -> None:
    with gates_made() as gates:
        async with running_hub() as hub, seed(version, hub.url) as printed:
            await until(lambda: [one.conversation.open_subscriptions for one in gates[0]._sessions] == [1])
            hub.daemon.stop()
            await printed.until(lambda printed: ("close", 1012) in printed.log)
            await hub.ended.wait()
            async with running_hub(Config(server=Server(port=hub.port))) as again:
                async with open_peer(again.url) as publisher:
                    await publisher.publish("task.completed", completed("task-123"))
                    await printed.until(lambda printed: "complete" in printed.events)
