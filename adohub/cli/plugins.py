"""`adohub plugins`: what is loaded, and from where."""

from __future__ import annotations

import os

import attrs
import click

from adohub.cli.lines import print_json, print_line
from adohub.cli.options import config_option
from adohub.config import load, locate
from adohub.plugin.loader import load as load_plugins


@click.group(name="plugins")
def command() -> None:
    """See which plugins this configuration loads.

    \b
    Example:   adohub plugins list
    """


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object a plugin.")
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """Name every plugin, where it is from, and what is wrong with those that failed.

    \b
    Example:   adohub plugins list --json
    """
    path = locate(config_file, os.environ)
    registry = load_plugins(load(path, os.environ), source=str(path or "configuration"))
    if as_json:
        print_json([attrs.asdict(plugin) for plugin in registry.plugins])
        return
    for plugin in registry.plugins:
        print_line(f"{plugin.status:<9} {plugin.name:<14} {plugin.version:<10} {plugin.origin}")
        if plugin.error:
            print_line(f"{'':<9} {plugin.error}")
