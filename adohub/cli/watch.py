"""`adohub watch`: one task, live."""

from __future__ import annotations

import click

from adohub.cli.ending import run
from adohub.cli.harmless import one_line
from adohub.cli.lines import print_json
from adohub.cli.options import IDENTIFIER, Target, hub_options
from adohub.cli.streams import note
from adohub.cli.watching import follow, is_known, shown_in, view_of


@click.command()
@click.argument("task", type=IDENTIFIER)
@click.option(
    "--json", "as_json", is_flag=True, help="One event a line: {id, topic, key, payload, timestamp}."
)
@hub_options
def command(task: str, as_json: bool, url: str, token: str | None) -> None:
    """Show a task's progress and output until it completes.

    Begins with what the hub still keeps of it, of its newest run if there were several. Exits 0 if the
    task completed, 1 if it failed.

    \b
    Example:   adohub watch task-123
    """
    target = Target(url, token)

    async def main() -> int:
        async with target.connect() as client:
            if not await is_known(client, task):
                note(f"nothing is known of task {one_line(task)} yet; waiting for it")
            if as_json:
                return 0 if await follow(client, task, print_json) else 1
            with view_of(task) as view:
                return 0 if await follow(client, task, shown_in(view)) else 1

    run(main)
