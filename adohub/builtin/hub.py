"""`hub.*`: what the hub says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from adohub import Call, Procedure, hookimpl


@frozen
class HubHealth:
    """How the hub is; `uptime` in seconds, `instance` anew at each start."""

    status: Literal["ok", "degraded", "draining"]
    version: str
    instance: str
    uptime: float


@frozen
class HubChannel:
    """A subscription, as `hub.info` tells of it; `tracked` twins are told of, too."""

    path: str
    topics: Sequence[str]
    key: str | None
    replay: Literal["none", "last", "all"]
    tracked: bool


@frozen
class HubTopic:
    """A topic, as `hub.info` tells of it; `fields` null means any."""

    name: str
    key: str | None
    fields: Mapping[str, str] | None


@frozen
class HubPlugin:
    """A plugin, as `hub.info` tells of it."""

    name: str
    version: str
    status: Literal["loaded", "failed", "disabled"]


@frozen
class HubInfo:
    """What the hub has to offer. The hash is that of the types that `adohub typegen` writes for it."""

    channels: Sequence[HubChannel]
    topics: Sequence[HubTopic]
    plugins: Sequence[HubPlugin]
    engine: str
    schema_hash: str


def health(input: None, call: Call) -> Any:
    """Answers `{status, version, instance, uptime}`."""
    return call.hub.health()


def info(input: None, call: Call) -> Any:
    """Answers `{channels, topics, plugins, engine, schemaHash}`."""
    return call.hub.info()


@hookimpl
def adohub_procedures(config: object) -> list[Procedure]:
    return [
        Procedure("hub.health", "query", health, output=HubHealth),
        Procedure("hub.info", "query", info, output=HubInfo),
    ]
