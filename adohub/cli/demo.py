"""`adohub demo`: a hub, a real command streamed through it, and a live view, in one."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click
import trio

from adohub import logs
from adohub.cli.ending import run
from adohub.cli.lines import print_line
from adohub.cli.options import Target
from adohub.cli.watching import follow, shown_in, view_of
from adohub.config import Config, Logging, Server
from adohub.daemon import Daemon
from adohub.errors import AdohubError
from adohub.plugin.loader import load as load_plugins

TASK = "demo"

HEARSAY_S = 5.0
"""How long the task's end may take from the end of `exec` to the view, in seconds."""

_WORKLOAD = [sys.executable, "-m", "adohub.cli.workload"]


@click.command()
@click.option("--stay", is_flag=True, help="Keep the hub running afterwards, until Ctrl-C.")
def command(stay: bool) -> None:
    """Show adohub at work: compiles Python's standard library as a task and streams it live.

    Needs no configuration and leaves nothing behind.

    \b
    Example:   adohub demo --stay
    """
    logs.set_up(Logging(level="warning"))

    async def main() -> int:
        async with _hub() as url:
            _introduce(url)
            good = await _work(url)
            _conclude(url, stay)
            if stay:
                await trio.sleep_forever()
        return 0 if good else 1

    run(main)


@asynccontextmanager
async def _hub() -> AsyncIterator[str]:
    """A hub on a free port, at the URL given, which outlives all that is done in the block."""
    config = Config(server=Server(port=0))
    daemon = Daemon(config, load_plugins(config))
    life = trio.CancelScope()

    async def live(task_status: trio.TaskStatus[Sequence[str]]) -> None:
        with life:
            await daemon.run(task_status=task_status)

    async with trio.open_nursery() as nursery:
        [url] = await nursery.start(live)
        life.shield = True
        try:
            yield url
        finally:
            daemon.stop()


async def _work(url: str) -> bool:
    """Run the demo's command through `adohub exec`, as one would, and watch it. True if it went well."""
    async with trio.open_nursery() as nursery:
        heard_of_end = trio.Event()
        nursery.start_soon(_execute, url, heard_of_end)
        async with Target(url, None).connect(quiet=True) as client:
            with view_of(TASK) as view:
                good = await follow(client, TASK, shown_in(view))
        heard_of_end.set()
    return good


async def _execute(url: str, heard_of_end: trio.Event) -> None:
    """In a session of its own: Ctrl-C is for us, and ends `exec` by a signal that it passes on."""
    command = [*_program(), "exec", "--task", TASK, "--quiet", "--url", url, "--", *_WORKLOAD]
    await trio.run_process(command, stdout=subprocess.DEVNULL, check=False, start_new_session=True)
    with trio.move_on_after(HEARSAY_S) as patience:
        await heard_of_end.wait()
    if patience.cancelled_caught:
        raise AdohubError("the demo's command has ended, and the hub was not told")


def _program() -> list[str]:
    """How to call adohub from any folder, on any PATH."""
    script = Path(sys.executable).with_name("adohub")
    return [str(script)] if script.exists() else [sys.executable, "-m", "adohub"]


def _introduce(url: str) -> None:
    adohub = shlex.join(_program())
    print_line(f"A hub is running at {url}, and the task {TASK!r} is streamed through it. While it runs:")
    print_line("")
    print_line("  from another terminal")
    print_line(f"    {adohub} watch {TASK} --url {url}")
    print_line(f"    {adohub} tail --url {url}")
    print_line("")
    print_line("  from TypeScript, with @trpc/client, in a browser or Node 22 and newer")
    print_line("    import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';")
    print_line(f"    const client = createWSClient({{ url: '{url}' }});")
    print_line("    const trpc = createTRPCClient<any>({ links: [wsLink({ client })] });")
    print_line(
        f"    trpc.stream.onTaskProgress.subscribe({{ taskId: '{TASK}' }}, {{ onData: console.log }});"
    )
    print_line("")


def _conclude(url: str, stay: bool) -> None:
    if stay:
        print_line(f"The hub stays at {url}; Ctrl-C ends it.")
    else:
        print_line("Next: `adohub serve` runs a hub of your own; `adohub demo --stay` keeps this one.")
