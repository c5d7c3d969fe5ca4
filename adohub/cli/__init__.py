"""The command line: one file per command, imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import click

from adohub.cli.ending import complain, failing_plainly
from adohub.cli.streams import prepare
from adohub.config import load, locate
from adohub.errors import AdohubError
from adohub.plugin.loader import load as load_plugins
from adohub.structuring import did_you_mean
from adohub.version import __version__

_COMMANDS: Mapping[str, str] = {
    "serve": "adohub.cli.serve",
    "demo": "adohub.cli.demo",
    "exec": "adohub.cli.exec",
    "watch": "adohub.cli.watch",
    "tail": "adohub.cli.tail",
    "publish": "adohub.cli.publish",
    "status": "adohub.cli.status",
    "config": "adohub.cli.config",
    "plugins": "adohub.cli.plugins",
    "typegen": "adohub.cli.typegen",
    "token": "adohub.cli.token",
    "systemd": "adohub.cli.systemd",
}
"""Each built-in command's module, which holds it under the name `command`."""


class _Commands(click.Group):
    """The built-in commands, then those that plugins add, which are loaded only when one is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Built-in ones first, in the order in which one meets them."""
        return [*_COMMANDS, *sorted(_added_by_plugins().commands.keys() - _COMMANDS.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return _added_by_plugins().commands.get(cmd_name)
        command: click.Command = importlib.import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; if there is none, the error says which one comes close."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(error.message.removesuffix(".") + hint, ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Inside click, which would say "Aborted!" after Ctrl-C and take a broken pipe for an error."""
        with failing_plainly():
            return super().invoke(ctx)


@cache
def _added_by_plugins() -> click.Group:
    """What plugins add. A broken one, or a broken configuration, is told of and takes nothing else away."""
    group = click.Group()
    try:
        registry = load_plugins(load(locate(None, os.environ), os.environ))
    except AdohubError as error:
        complain(error)
        return group
    for contribution in registry.contributions:
        if contribution.add_commands is not None:
            try:
                contribution.add_commands(group)
            except AdohubError as error:
                complain(error)
    return group


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="adohub")
def cli() -> None:
    """An event hub: publish once, stream live to any tRPC client and to this terminal.

    \b
    Try it:   adohub demo
    Run it:   adohub serve
    """


def main() -> None:
    """The console script."""
    prepare()
    with failing_plainly():
        cli()
