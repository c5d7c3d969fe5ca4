"""Options that several commands share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import click
from attrs import define, frozen

from adohub.cli.streams import note
from adohub.client import Address, Client, State, connect
from adohub.config import Config

Command = Callable[..., Any]

DEFAULT_URL = "ws://localhost:3001"


class _Identifier(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.5
    """Text that names something at the hub: there is some, and JSON can hold it."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("it is empty", param, ctx)
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("it is not UTF-8", param, ctx)
        return value


IDENTIFIER = _Identifier()


@frozen
class Target:
    """Which hub a client command talks to."""

    url: str
    token: str | None

    def __str__(self) -> str:
        """The address, without what may be secret in it."""
        return str(Address.parse(self.url))

    @asynccontextmanager
    async def connect(self, *, quiet: bool = False) -> AsyncIterator[Client]:
        """A client of that hub. Says on stderr when the connection is lost and found, unless `quiet`."""
        async with connect(
            self.url, token=self.token, on_state=None if quiet else _Announcer().hear
        ) as client:
            yield client


@define
class _Announcer:
    """Says that the hub went away, and that it is back; nothing about the first connection."""

    _was_open: bool = False
    _is_away: bool = False

    def hear(self, state: State) -> None:
        if state == "open":
            if self._is_away:
                note("connected again")
            self._was_open, self._is_away = True, False
        elif state == "connecting" and self._was_open and not self._is_away:
            self._is_away = True
            note("connection lost; reconnecting")


def hub_options(command: Command) -> Command:
    """`--url` and `--token`."""
    command = click.option(
        "--token",
        envvar="ADOHUB_TOKEN",
        metavar="TOKEN",
        help="Credential, if the hub wants one (default: $ADOHUB_TOKEN).",
    )(command)
    return click.option(
        "--url",
        envvar="ADOHUB_URL",
        default=DEFAULT_URL,
        show_default=True,
        metavar="URL",
        help="Where the hub is: ws://, wss:// or unix:///path (or $ADOHUB_URL).",
    )(command)


def config_option(command: Command) -> Command:
    """`--config`."""
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help="Configuration (default: $ADOHUB_CONFIG, ./adohub.toml, /etc/adohub/adohub.toml).",
    )(command)


def tolerant(config: Config) -> Config:
    """`config`, in which a broken plugin is only left out: to tell of every one, not to stop at the first."""
    return attrs.evolve(config, plugins=attrs.evolve(config.plugins, strict=False))
