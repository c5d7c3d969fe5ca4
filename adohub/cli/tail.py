"""`adohub tail`: events as they come."""

from __future__ import annotations

import click

from adohub.cli.ending import run
from adohub.cli.lines import print_event, print_json
from adohub.cli.options import IDENTIFIER, Target, hub_options
from adohub.model import Position
from adohub.topics import is_pattern


def _patterns(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in value:
        if not is_pattern(pattern):
            raise click.BadParameter(f'"{pattern}" is no topic pattern (like "task.*" or "agent.**")')
    return value or ("**",)


def _event_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and Position.parse(value) is None:
        raise click.BadParameter(f'"{value}" is no event id, such as `adohub tail --json` shows')
    return value


@click.command()
@click.argument("pattern", nargs=-1, callback=_patterns)
@click.option("--after", callback=_event_id, metavar="ID", help="Begin after this event instead of now.")
@click.option("--key", type=IDENTIFIER, metavar="KEY", help="Only events of this key, such as a task's id.")
@click.option(
    "--json", "as_json", is_flag=True, help="One event a line: {id, topic, key, payload, timestamp}."
)
@hub_options
def command(
    pattern: tuple[str, ...], after: str | None, key: str | None, as_json: bool, url: str, token: str | None
) -> None:
    """Print events as they come, one a line, until Ctrl-C.

    PATTERN chooses topics: "*" stands for one segment, a last "**" for any rest. Without one: all topics.

    \b
    Example:   adohub tail 'task.*' 'system.**' --json
    """
    target = Target(url, token)
    wanted = {"topics": pattern} | ({"key": key} if key is not None else {})
    show = print_json if as_json else print_event

    async def main() -> int:
        async with target.connect() as client:
            async with client.subscribe("stream.onEvent", wanted, last_event_id=after) as deliveries:
                async for delivery in deliveries:
                    show(delivery.data)
        return 0

    run(main)
