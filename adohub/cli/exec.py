"""`adohub exec`: run a command and stream all of it through the hub."""

from __future__ import annotations

import re
from typing import get_args

import click

from adohub.cli.ending import run
from adohub.cli.options import Target, hub_options
from adohub.runner import compile_regex
from adohub.runner import run as run_command
from adohub.runner.progress import Phase


def _regex(context: click.Context, parameter: click.Parameter, value: str | None) -> re.Pattern[str] | None:
    if value is None:
        return None
    try:
        return compile_regex(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--task", required=True, metavar="ID", help="The task that this command works on.")
@click.option("--agent", default="exec", show_default=True, metavar="ID", help="Who runs it.")
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
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED)
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
