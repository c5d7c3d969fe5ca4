"""`adohub exec`: run a command and stream all of it through the hub."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import get_args

import click
import trio

from adohub.cli.ending import run
from adohub.cli.harmless import one_line
from adohub.cli.options import IDENTIFIER, Target, hub_options
from adohub.cli.streams import note
from adohub.client import Client, ConnectionLost
from adohub.errors import PeerError
from adohub.runner import compile_regex
from adohub.runner import run as run_command
from adohub.runner.progress import Phase

LOOK_BACK_S = 2.0
"""How long CMD is held up at most, in seconds, to find out whether the task has completed before."""


def _regex(context: click.Context, parameter: click.Parameter, value: str | None) -> re.Pattern[str] | None:
    if value is None:
        return None
    try:
        return compile_regex(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(context_settings={"allow_interspersed_args": False}, options_metavar="--task ID [OPTIONS]")
@click.option(
    "--task", required=True, type=IDENTIFIER, metavar="ID", help="The task that this command works on."
)
@click.option(
    "--agent", default="exec", show_default=True, type=IDENTIFIER, metavar="ID", help="Who runs it."
)
@click.option(
    "--phase",
    type=click.Choice(get_args(Phase)),
    default="impl",
    show_default=True,
    help="The phase it is in.",
)
@click.option(
    "--progress-regex",
    callback=_regex,
    metavar="REGEX",
    help="How to find progress in a line: groups named percent, or done and total; phase and message too.",
)
@click.option("--pty", is_flag=True, help="Give it a terminal, for programs that want one.")
@click.option("--quiet", is_flag=True, help="Do not copy its output to this terminal.")
@hub_options
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def command(
    task: str,
    agent: str,
    phase: Phase,
    progress_regex: re.Pattern[str] | None,
    pty: bool,
    quiet: bool,
    url: str,
    token: str | None,
    cmd: tuple[str, ...],
) -> None:
    """Run CMD and stream its output, progress and end through the hub.

    Lines such as "12/80", "37%" or "[test] 12/80" move the progress bar. Exits with CMD's own status, 127 if
    there is no such command. A hub that goes away is waited for: nothing is lost, and CMD is paused when too
    much is waiting.

    \b
    Example:   adohub exec --task task-123 --phase test -- pytest -v
    """
    target = Target(url, token)

    async def main() -> int:
        async with target.connect() as client:
            await _mention_an_earlier_run(client, task)
            return await run_command(
                client,
                cmd,
                task=task,
                agent=agent,
                phase=phase,
                progress_regex=progress_regex,
                pty=pty,
                echo=not quiet,
            )

    run(main)


async def _mention_an_earlier_run(client: Client, task: str) -> None:
    """Says that whoever subscribes to the task's channels finds it completed; if the hub lets us know."""
    completed = {"topics": ["task.completed"], "key": task, "limit": 1}
    with trio.move_on_after(LOOK_BACK_S), suppress(PeerError, ConnectionLost):
        if (await client.query("events.history", completed))["events"]:
            note(f"task {one_line(task)} has completed before; give each run an id of its own")
