"""`adohub serve`: the daemon."""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs
import click
import structlog

from adohub import daemon, logs
from adohub.cli.ending import run
from adohub.cli.lines import print_line
from adohub.cli.options import config_option
from adohub.config import Config, load, locate
from adohub.plugin.loader import load as load_plugins
from adohub.plugin.registry import Registry
from adohub.systemd import inherited_in, manager_in
from adohub.version import __version__

_log = structlog.get_logger("adohub.serve")


@click.command()
@config_option
@click.option("--host", metavar="H", help="Address to listen on, instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="P", help="Port, instead of server.port.")
def command(config_file: str | None, host: str | None, port: int | None) -> None:
    """Run the hub until it is told to stop.

    SIGTERM and Ctrl-C drain: nobody new is let in, everybody is told to reconnect, and what was accepted is
    stored; a second one hurries.

    \b
    Example:   adohub serve --port 3001
    """
    manager, inherited = manager_in(os.environ), inherited_in(os.environ)
    path = locate(config_file, os.environ)
    config = _overridden(load(path, os.environ), host, port)
    logs.set_up(config.logging)
    registry = load_plugins(config, source=str(path or "configuration"))
    _report_plugins(registry)

    async def main() -> int:
        await daemon.serve(daemon.Daemon(config, registry, inherited=inherited, manager=manager), _announce)
        return 0

    run(main)


def _overridden(config: Config, host: str | None, port: int | None) -> Config:
    server = config.server
    if host is not None:
        server = attrs.evolve(server, host=host)
    if port is not None:
        server = attrs.evolve(server, port=port)
    return attrs.evolve(config, server=server)


def _report_plugins(registry: Registry) -> None:
    for plugin in registry.plugins:
        if plugin.status == "failed":
            _log.error("plugin left out", plugin=plugin.name, origin=plugin.origin, error=plugin.error)


def _announce(urls: Sequence[str]) -> None:
    print_line(f"adohub {__version__} is ready at {' and '.join(urls)}")
