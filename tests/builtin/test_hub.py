"""`hub.health` and `hub.info` answer the contract's shapes."""

from __future__ import annotations

from adohub.config import Config, DeclaredChannel
from adohub.version import __version__
from tests.builtin.socketless import Running, running


async def test_health(hub: Running) -> None:
    health = await hub.query("hub.health")
    assert set(health) == {"status", "version", "instance", "uptime"}
    assert (health["status"], health["version"]) == ("ok", __version__)


async def test_info_names_what_the_built_ins_bring(hub: Running) -> None:
    info = await hub.query("hub.info")
    assert set(info) == {"channels", "topics", "plugins", "engine", "schemaHash"}
    assert info["engine"] == "memory"
    topics = {topic["name"]: topic["key"] for topic in info["topics"]}
    assert (
        topics.items()
        >= {
            "task.progress": "taskId",
            "task.completed": "taskId",
            "agent.output": "taskId",
            "system.worker.added": None,
            "system.worker.removed": None,
            "system.provider.status": None,
        }.items()
    )
    channels = {channel["path"]: channel["replay"] for channel in info["channels"]}
    assert (
        channels.items()
        >= {
            "stream.onTaskProgress": "last",
            "stream.onTaskCompleted": "last",
            "stream.onAgentOutput": "none",
            "stream.onSystemEvent": "none",
            "stream.onEvent": "none",
            "tracked.onTaskProgress": "last",
        }.items()
    )
    [progress] = (topic for topic in info["topics"] if topic["name"] == "task.progress")
    assert list(progress["fields"]) == ["taskId", "phase", "progress", "message", "timestamp"]


async def test_info_names_channels_of_the_configuration_and_their_topics() -> None:
    declared = DeclaredChannel(topics=("deploy.release",), key="env", replay="last")
    async with running(Config(channels={"deploy.onRelease": declared})) as hub:
        info = await hub.query("hub.info")
        watcher = await hub.subscribe("deploy.onRelease", {"env": "prod"})
        await hub.publish("deploy.release", {"env": "prod", "version": 3})
        await hub.publish("deploy.release", {"env": "test", "version": 4})
    assert {"name": "deploy.release", "key": "env", "fields": None} in info["topics"]
    assert "deploy.onRelease" in [channel["path"] for channel in info["channels"]]
    assert watcher.data == [{"env": "prod", "version": 3}]
