"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import click
from attrs import define, frozen

from adohub.client import Client, State, connect

Command = Callable[..., Any]

DEFAULT_URL = "ws://localhost:3001"


@frozen
class Target:
    """Which hub a client command talks to."""

    url: str
    token: str | None

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
                sys.stderr.write("adohub: connected again\n")
            self._was_open, self._is_away = True, False
        elif state == "connecting" and self._was_open and not self._is_away:
            self._is_away = True
            sys.stderr.write("adohub: connection lost; reconnecting\n")


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
