"""`adohub status`: what a running hub says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from adohub.cli.ending import run
from adohub.cli.lines import print_json, print_line
from adohub.cli.options import Target, hub_options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON object.")
@hub_options
def command(as_json: bool, url: str, token: str | None) -> None:
    """Say how the hub is, and what it carries.

    \b
    Example:   adohub status --url ws://localhost:3001
    """
    target = Target(url, token)

    async def main() -> int:
        async with target.connect() as client:
            health = await client.query("hub.health")
            info = await client.query("hub.info")
        if as_json:
            print_json({**health, **info})
        else:
            _print(target, health, info)
        return 0

    run(main)


def _print(target: Target, health: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    print_line(f"{target}: {health['status']}, version {health['version']}, up {_duration(health['uptime'])}")
    print_line(f"instance  {health['instance']}")
    print_line(f"engine    {info['engine']}")
    _list("topics", [topic["name"] for topic in info["topics"]])
    _list("channels", [channel["path"] for channel in info["channels"] if not channel["tracked"]])
    _list("plugins", [_plugin(plugin) for plugin in info["plugins"]])


def _list(title: str, items: list[str]) -> None:
    for number, item in enumerate(items):
        print_line(f"{title if number == 0 else '':<9} {item}")


def _plugin(plugin: Mapping[str, Any]) -> str:
    status = "" if plugin["status"] == "loaded" else f" ({plugin['status']})"
    return f"{plugin['name']} {plugin['version']}{status}"


def _duration(seconds: float) -> str:
    """The two largest units of it."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    while len(units) > 1 and not units[0][0]:
        units.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in units[:2])
