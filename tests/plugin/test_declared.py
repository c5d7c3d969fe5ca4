"""`[channels]`: a table makes a channel and its topics, and a wrong one is the operator's fault, by path."""

from __future__ import annotations

import pytest

from adohub.config import DeclaredChannel
from adohub.plugin.contracts import Channel, Topic
from tests.plugin.making import Workshop, contribution

RELEASE = DeclaredChannel(
    topics=("deploy.release",),
    key="env",
    replay="last",
    completes_on="deploy.done",
    on_gap="error",
    on_slow="disconnect",
)


def test_a_table_makes_a_channel_and_declares_its_topics(workshop: Workshop) -> None:
    registry = workshop.load(channels={"deploy.onRelease": RELEASE})
    assert registry.channels["deploy.onRelease"] == Channel(
        "deploy.onRelease",
        topics=["deploy.release"],
        key="env",
        replay="last",
        completes_on="deploy.done",
        on_gap="error",
        on_slow="disconnect",
    )
    assert registry.topics["deploy.release"] == Topic("deploy.release", key="env")
    assert registry.topics["deploy.done"] == Topic("deploy.done", key="env")


def test_topics_of_plugins_and_of_other_tables_are_not_declared_again(workshop: Workshop) -> None:
    channels = {
        "my.onProgress": DeclaredChannel(
            topics=("task.progress",), key="taskId", completes_on="task.completed"
        ),
        "my.onTask": DeclaredChannel(topics=("task.*", "deploy.release")),
        "my.onRelease": DeclaredChannel(topics=("deploy.release", "deploy.release")),
    }
    registry = workshop.load(channels=channels)
    assert contribution(registry, "[channels]").topics == (Topic("deploy.release"),)
    assert set(channels) <= set(registry.channels)


def test_a_stream_path_has_its_tracked_twin(workshop: Workshop) -> None:
    registry = workshop.load(channels={"stream.onRelease": RELEASE})
    assert registry.subscriptions["tracked.onRelease"][1]


def declared(*topics: str, key: str = "", completes_on: str = "") -> DeclaredChannel:
    return DeclaredChannel(topics=topics, key=key, completes_on=completes_on)


@pytest.mark.parametrize(
    ("path", "table", "message"),
    [
        ("single", declared("a.b"), "'single' is no procedure path (two or more dotted names)"),
        ("my.on", declared("A.b"), "channel my.on: ['A.b'] are no topic patterns"),
        ("my.on", declared("a.b", completes_on="x.*"), "channel my.on: completes_on is 'x.*', no topic name"),
        ("my.on", declared("a.b", key="a b"), "channel my.on: 'a b' is no field name"),
        (
            "my.on",
            declared("task.progress", key="agentId"),
            "channel my.on is keyed by agentId, its topic task.progress by taskId",
        ),
        (
            "my.on",
            declared("system.worker.added", key="workerId"),
            "channel my.on is keyed by workerId, its topic system.worker.added by None",
        ),
        (
            "my.on",
            declared("a.b", key="agentId", completes_on="task.completed"),
            "channel my.on is keyed by agentId, its topic task.completed by taskId",
        ),
        ("stream.onEvent", declared("a.b"), "path stream.onEvent is claimed by plugin events as well"),
        ("tracked.onEvent", declared("a.b"), "path tracked.onEvent is claimed by plugin events as well"),
        ("hub.info", declared("a.b"), "path hub.info is claimed by plugin hub as well"),
    ],
)
def test_a_wrong_table_is_told_by_its_path(
    workshop: Workshop, path: str, table: DeclaredChannel, message: str
) -> None:
    shown = path if "." not in path else f'"{path}"'
    assert workshop.problems(channels={path: table}) == [f"adohub.toml: channels.{shown}: {message}"]


def test_two_tables_cannot_key_one_topic_differently_nor_share_a_twin(workshop: Workshop) -> None:
    channels = {
        "my.first": declared("a.b", key="env"),
        "my.second": declared("a.b", key="zone"),
        "stream.onX": declared("a.b"),
        "tracked.onX": declared("a.b"),
    }
    assert workshop.problems(channels=channels) == [
        'adohub.toml: channels."my.second": channel my.second is keyed by zone, its topic a.b by env',
        'adohub.toml: channels."tracked.onX": path tracked.onX is claimed by plugin [channels] as well',
    ]
