"""The hooks, one per contract. Each runs once, at start; the docstring is the promise.

All hooks: called in the order plugins were loaded (built-ins first), in no task, before anything else runs;
they must not block and cannot await. One that raises, or returns something else than promised, leaves its
whole plugin out, named in the log and in `adohub plugins list`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from adohub.plugin.contracts import Authenticator, Authorizer, Channel, Procedure, Route, Source, Topic
from adohub.plugin.storage import StorageEngine

if TYPE_CHECKING:
    import click

PROJECT = "adohub"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def adohub_config_type() -> type[Any]:  # type: ignore[empty-body]
    """The attrs class of `[plugin.NAME]`; the other hooks get its instance as `config`, else None."""


@hookspec
def adohub_topics(config: Any) -> Iterable[Topic]:  # type: ignore[empty-body]
    """The topics this plugin declares. Two plugins cannot declare one name."""


@hookspec
def adohub_channels(config: Any) -> Iterable[Channel]:  # type: ignore[empty-body]
    """The subscription procedures this plugin brings. Two plugins cannot claim one path."""


@hookspec
def adohub_procedures(config: Any) -> Iterable[Procedure]:  # type: ignore[empty-body]
    """The queries and mutations this plugin brings. Two plugins cannot claim one path."""


@hookspec
def adohub_sources(config: Any) -> Iterable[Source]:  # type: ignore[empty-body]
    """Producers, each run in a supervised task: a crash is logged, counted and restarted with backoff."""


@hookspec
def adohub_authenticators(config: Any) -> Iterable[Authenticator]:  # type: ignore[empty-body]
    """Ways to tell who a peer is, asked in order until one knows. With none, loopback peers are anonymous."""


@hookspec
def adohub_authorizers(config: Any) -> Iterable[Authorizer]:  # type: ignore[empty-body]
    """`(principal, action, resource) -> bool or None`: asked in order before roles, first answer wins."""


@hookspec
def adohub_storage_engines(config: Any) -> Iterable[StorageEngine]:  # type: ignore[empty-body]
    """Storage engines by name; the configured one is opened. Two claimants of a name are an error."""


@hookspec
def adohub_http_routes(config: Any) -> Iterable[Route]:  # type: ignore[empty-body]
    """HTTP addresses this plugin answers. Two plugins cannot claim one method and path."""


@hookspec
def adohub_commands(cli: click.Group) -> None:
    """Adds commands to the command line. Runs only there, not in the daemon."""
