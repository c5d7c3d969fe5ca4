"""`[channels]`, the channels without any Python: checked like a plugin's, but a fault is the operator's.

Each table declares its topics too, as far as no plugin does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adohub.config import DeclaredChannel
from adohub.errors import ConfigError, Problem
from adohub.plugin.contracts import Channel, Topic
from adohub.plugin.presence import Present
from adohub.plugin.registry import Contribution
from adohub.structuring import path_text
from adohub.topics import is_wild


def declared_in_toml(
    tables: Mapping[str, DeclaredChannel], others: Sequence[Contribution], source: str
) -> Contribution:
    """The channels of `tables`, with those of their topics that none of `others` declares.

    `source` names the file. Raises ConfigError with every fault: of the names, of a path that is taken, of
    a key that is not its topic's.
    """
    topics = {topic.name: topic for one in others for topic in one.topics}
    holders = {claim: one.plugin for one in others for claim in one.claims()}
    own: list[Topic] = []
    channels: list[Channel] = []
    problems: list[Problem] = []
    for path, table in tables.items():
        try:
            channel = _channel(path, table)
            own += _undeclared(channel, topics)
            topics |= {topic.name: topic for topic in own}
            _check_claims(channel, holders)
            _check_key(channel, topics)
        except ValueError as error:
            problems.append(Problem(source, path_text(("channels", path)), str(error)))
        else:
            channels.append(channel)
            holders |= dict.fromkeys(Contribution("[channels]", channels=[channel]).claims(), "[channels]")
    if problems:
        raise ConfigError(problems)
    return Contribution("[channels]", topics=tuple(own), channels=tuple(channels))


def misfit(channel: Channel, topic: Topic) -> str | None:
    """Why `channel` cannot carry `topic`, if it cannot: it would look for keys where there are none."""
    if channel.presence is not None and channel.presence.topic == topic.name:
        is_fit = topic.type is Present and topic.key == "key" and topic.state_keys
        return None if is_fit else f"topic {topic.name} is no state topic of Present with the key key"
    if channel.key in (None, topic.key):
        return None
    return f"channel {channel.path} is keyed by {channel.key}, its topic {topic.name} by {topic.key}"


def carried(channel: Channel) -> Sequence[str]:
    """The names of the topics that `channel` carries, ends by or keeps records in, patterns left out."""
    records = channel.presence.topic if channel.presence is not None else None
    names = (*channel.topics, *filter(None, [channel.completes_on, records]))
    return [name for name in names if not is_wild(name)]


def _channel(path: str, table: DeclaredChannel) -> Channel:
    return Channel(
        path,
        topics=table.topics,
        key=table.key or None,
        replay=table.replay,
        completes_on=table.completes_on or None,
        on_gap=table.on_gap,
        on_slow=table.on_slow,
    )


def _undeclared(channel: Channel, topics: Mapping[str, Topic]) -> list[Topic]:
    return [Topic(name, key=channel.key) for name in dict.fromkeys(carried(channel)) if name not in topics]


def _check_claims(channel: Channel, holders: Mapping[tuple[str, str], str]) -> None:
    for claim in Contribution("", channels=[channel]).claims():
        if claim in holders:
            raise ValueError(f"path {claim[1]} is claimed by plugin {holders[claim]} as well")


def _check_key(channel: Channel, topics: Mapping[str, Topic]) -> None:
    for name in carried(channel):
        complaint = misfit(channel, topics[name])
        if complaint is not None:
            raise ValueError(complaint)
