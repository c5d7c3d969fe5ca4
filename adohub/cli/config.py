"""`adohub config`: write a configuration, check one, show what is in force."""

from __future__ import annotations

import os
from pathlib import Path

import click

from adohub.checks import check_certificate, check_engine, check_exposure, check_peers
from adohub.cli.lines import print_line
from adohub.cli.options import config_option, tolerant
from adohub.cli.streams import write
from adohub.config import Config, dump, load, locate, write_default
from adohub.errors import ConfigError
from adohub.plugin.loader import load as load_plugins


@click.group(name="config")
def command() -> None:
    """Write a configuration file, check one, or show what is in force.

    \b
    Example:   adohub config init && adohub config check
    """


@command.command()
@click.option("--config", "config_file", default="adohub.toml", show_default=True, metavar="FILE")
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
def init(config_file: str, force: bool) -> None:
    """Write a file with every key, its default and what it means.

    \b
    Example:   adohub config init --config hub.toml
    """
    write_default(Path(config_file), force=force)
    print_line(f"wrote {config_file}")


@command.command()
@config_option
def check(config_file: str | None) -> None:
    """Check a configuration and the plugins it names; exit 2 with one line for each fault.

    \b
    Example:   adohub config check --config /etc/adohub/adohub.toml
    """
    path = locate(config_file, os.environ)
    source = str(path) if path else "defaults"
    config = load(path, os.environ)
    failed = _check_plugins(config, source)
    if failed:
        click.echo("\n".join(failed), err=True)
        raise SystemExit(2)
    print_line(f"{source}: ok")


def _check_plugins(config: Config, source: str) -> list[str]:
    registry = load_plugins(tolerant(config), source=source)
    failed = [
        f"{source}: plugin {one.name}: {one.error}" for one in registry.plugins if one.status == "failed"
    ]
    for check_at_start in (check_engine, check_exposure, check_peers, check_certificate):
        try:
            check_at_start(config, registry)
        except ConfigError as error:
            failed += [f"{source}: {problem}" for problem in error.problems]
    return failed


@command.command()
@config_option
def show(config_file: str | None) -> None:
    """Print the configuration in force: file, environment and defaults together, secrets masked.

    \b
    Example:   ADOHUB__SERVER__PORT=3002 adohub config show
    """
    write(dump(load(locate(config_file, os.environ), os.environ)))
