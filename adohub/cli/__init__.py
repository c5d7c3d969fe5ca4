"""The command line: one file per command, imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping

import click

from adohub.cli.ending import failing_plainly
from adohub.config import load, locate
from adohub.errors import AdohubError
from adohub.plugin.loader import load as load_plugins
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
}
"""Each built-in command's module, which holds it under the name `command`."""


class _Commands(click.Group):
    """The built-in commands, then those that plugins add, which are loaded only when one is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Built-in ones first, in the order in which one meets them."""
        try:
            added = sorted(_added_by_plugins().commands)
        except AdohubError:
            added = []  # a broken configuration must not take --help away; `config check` tells of it
        return [*_COMMANDS, *added]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        module = _COMMANDS.get(cmd_name)
        if module is not None:
            command: click.Command = importlib.import_module(module).command
            return command
        try:
            return _added_by_plugins().commands.get(cmd_name)
        except AdohubError:
            return None


def _added_by_plugins() -> click.Group:
    group = click.Group()
    registry = load_plugins(load(locate(None, os.environ), os.environ))
    for contribution in registry.contributions:
        if contribution.add_commands is not None:
            contribution.add_commands(group)
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
    with failing_plainly():
        cli()
