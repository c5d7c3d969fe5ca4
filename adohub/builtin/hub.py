"""`hub.*`: what the hub says of itself."""

from __future__ import annotations

from typing import Any

from adohub import Call, Procedure, hookimpl


def health(input: None, call: Call) -> Any:
    """Answers `{status, version, instance, uptime}`."""
    return call.hub.health()


def info(input: None, call: Call) -> Any:
    """Answers `{channels, topics, plugins, engine, schemaHash}`."""
    return call.hub.info()


@hookimpl
def adohub_procedures(config: object) -> list[Procedure]:
    return [Procedure("hub.health", "query", health), Procedure("hub.info", "query", info)]
