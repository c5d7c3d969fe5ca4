"""The frozen sum of what all plugins gave: every topic, channel, procedure … with the plugin it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import click
from attrs import field, frozen

from adohub.plugin.contracts import Authenticator, Authorizer, Channel, Procedure, Route, Source, Topic
from adohub.plugin.presence import Presence
from adohub.plugin.storage import StorageEngine
from adohub.structuring import Marks, wire
from adohub.topics import matches

PluginStatus = Literal["loaded", "failed", "disabled"]


@frozen
class PluginRecord:
    """One line of `adohub plugins list`.

    `may_authenticate`: whether, had it not failed, it might have told who connects.
    """

    name: str
    origin: str
    version: str
    status: PluginStatus
    error: str = ""
    hooks: Sequence[str] = ()
    may_authenticate: bool = False


@frozen
class Contribution:
    """What one plugin gave."""

    plugin: str
    topics: Sequence[Topic] = ()
    channels: Sequence[Channel] = ()
    procedures: Sequence[Procedure] = ()
    sources: Sequence[Source] = ()
    authenticators: Sequence[Authenticator] = ()
    authorizers: Sequence[Authorizer] = ()
    storage_engines: Sequence[StorageEngine] = ()
    routes: Sequence[Route] = ()
    add_commands: Callable[[click.Group], None] | None = None

    def claims(self) -> list[tuple[str, str]]:
        """The names that only one plugin can hold, as (what, name)."""
        tracked = [channel.tracked_path for channel in self.channels if channel.tracked_path]
        return [
            *(("topic", topic.name) for topic in self.topics),
            *(("path", channel.path) for channel in self.channels),
            *(("path", path) for path in tracked),
            *(("path", procedure.path) for procedure in self.procedures),
            *(("source", source.name) for source in self.sources),
            *(("storage engine", engine.name) for engine in self.storage_engines),
            *(("route", f"{route.method} {route.path}") for route in self.routes),
        ]


@frozen
class Registry:
    """All contributions, by name. Made once; the hub looks things up here and never asks pluggy again.

    `subscriptions` maps every subscription path, tracked twins included, to (channel, whether tracked).
    """

    contributions: Sequence[Contribution] = ()
    plugins: Sequence[PluginRecord] = ()
    topics: Mapping[str, Topic] = field(init=False)
    subscriptions: Mapping[str, tuple[Channel, bool]] = field(init=False)
    procedures: Mapping[str, Procedure] = field(init=False)
    storage_engines: Mapping[str, StorageEngine] = field(init=False)
    routes: Mapping[tuple[str, str], Route] = field(init=False)
    sources: Sequence[Source] = field(init=False)
    authenticators: Sequence[Authenticator] = field(init=False)
    authorizers: Sequence[Authorizer] = field(init=False)

    @topics.default
    def _(self) -> Mapping[str, Topic]:
        return {topic.name: topic for each in self.contributions for topic in each.topics}

    @subscriptions.default
    def _(self) -> Mapping[str, tuple[Channel, bool]]:
        channels = [channel for each in self.contributions for channel in each.channels]
        plain = {channel.path: (channel, False) for channel in channels}
        return plain | {channel.tracked_path: (channel, True) for channel in channels if channel.tracked_path}

    @property
    def presences(self) -> Mapping[str, Presence]:
        """What channels say of who is present, by the topic of its records."""
        channels = (channel for each in self.contributions for channel in each.channels)
        return {one.presence.topic: one.presence for one in channels if one.presence is not None}

    @procedures.default
    def _(self) -> Mapping[str, Procedure]:
        return {procedure.path: procedure for each in self.contributions for procedure in each.procedures}

    @storage_engines.default
    def _(self) -> Mapping[str, StorageEngine]:
        return {engine.name: engine for each in self.contributions for engine in each.storage_engines}

    @routes.default
    def _(self) -> Mapping[tuple[str, str], Route]:
        return {(route.method, route.path): route for each in self.contributions for route in each.routes}

    @sources.default
    def _(self) -> Sequence[Source]:
        return tuple(source for each in self.contributions for source in each.sources)

    @authenticators.default
    def _(self) -> Sequence[Authenticator]:
        return tuple(one for each in self.contributions for one in each.authenticators)

    @authorizers.default
    def _(self) -> Sequence[Authorizer]:
        return tuple(one for each in self.contributions for one in each.authorizers)

    def payload_marks(self) -> Mapping[str, Marks]:
        """Of the topics whose types hold times or octets, where in a payload those are.

        Raises TypeError for a type without JSON form.
        """
        found = {name: wire.marks(topic.type) for name, topic in self.topics.items() if topic.type}
        return {name: marks for name, marks in found.items() if not marks.is_plain}

    @property
    def endings(self) -> Mapping[str, Sequence[str]]:
        """By completing topic the topics of which a key has nothing more to come, itself among them.

        They are those of the channels that it completes, as far as they are declared and keyed alike.
        """
        found: dict[str, dict[str, None]] = {}
        for channel in self.channels.values():
            end = self.topics.get(channel.completes_on) if channel.completes_on else None
            if end is not None and end.key is not None:
                ended = found.setdefault(end.name, {end.name: None})
                ended |= {
                    topic.name: None
                    for topic in self.topics.values()
                    if topic.key == end.key
                    and not topic.state_keys
                    and any(matches(pattern, topic.name) for pattern in channel.topics)
                }
        return {end: tuple(ended) for end, ended in found.items()}

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels by their own path, twins left out."""
        return {path: channel for path, (channel, tracked) in self.subscriptions.items() if not tracked}
