"""`adohub plugins`: what is loaded, and from where."""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs
import click

from adohub.cli.lines import print_json, print_line
from adohub.cli.options import config_option, tolerant
from adohub.config import load, locate
from adohub.plugin.loader import load as load_plugins
from adohub.plugin.registry import PluginRecord


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
    registry = load_plugins(tolerant(load(path, os.environ)), source=str(path or "configuration"))
    if as_json:
        print_json([attrs.asdict(plugin, filter=_is_listed) for plugin in registry.plugins])
    else:
        _print(registry.plugins)


def _is_listed(attribute: attrs.Attribute[object], _: object) -> bool:
    """Whether it belongs to what users are told of a plugin."""
    return attribute.name != "may_authenticate"


def _print(plugins: Sequence[PluginRecord]) -> None:
    name_width = max(len(plugin.name) for plugin in plugins)
    version_width = max(len(plugin.version) for plugin in plugins)
    for plugin in plugins:
        row = f"{plugin.status:<9} {plugin.name:<{name_width}}  {plugin.version:<{version_width}}"
        print_line(f"{row}  {plugin.origin}")
        if plugin.error:
            print_line(f"{'':<9} {plugin.error}")
