"""`adohub demo`: a hub, a real command streamed through it, and a live view, in one."""

from __future__ import annotations

import shlex
import subprocess
import sys

import click
import trio

from adohub import logs
from adohub.cli.ending import run
from adohub.cli.lines import print_line
from adohub.cli.options import Target
from adohub.cli.watching import follow, shown_in, view_of
from adohub.config import Config, Logging, Plugins, Server
from adohub.daemon import Daemon
from adohub.plugin.loader import load as load_plugins

TASK = "demo"


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
        config = Config(server=Server(port=0), plugins=Plugins())
        daemon = Daemon(config, load_plugins(config))
        async with trio.open_nursery() as nursery:
            [url] = await nursery.start(lambda task_status: daemon.run(task_status=task_status))
            _introduce(url)
            good = await _work(url)
            _conclude(url, stay)
            if stay:
                await trio.sleep_forever()
            daemon.stop()
        return 0 if good else 1

    run(main)


async def _work(url: str) -> bool:
    """Run the demo's command through `adohub exec`, as one would, and watch it."""
    target = Target(url, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_execute, url)
        async with target.connect(quiet=True) as client:
            with view_of(TASK) as view:
                return await follow(client, TASK, shown_in(view))
    raise AssertionError("unreachable")


async def _execute(url: str) -> None:
    await trio.run_process(
        [*_program("exec"), "--task", TASK, "--quiet", "--url", url, "--", *_WORKLOAD],
        stdout=subprocess.DEVNULL,
        check=False,
    )


def _program(command: str) -> list[str]:
    return [sys.executable, "-m", "adohub", command]


_WORKLOAD = [sys.executable, "-m", "adohub.cli.workload"]


def _introduce(url: str) -> None:
    print_line(f"A hub is running at {url}, and the task {TASK!r} is streamed through it. While it runs:")
    print_line("")
    print_line("  from another terminal")
    print_line(f"    {shlex.join(_program('watch'))} {TASK} --url {url}")
    print_line(f"    {shlex.join(_program('tail'))} --url {url}")
    print_line("")
    print_line("  from TypeScript, with @trpc/client")
    print_line(f"    const client = createWSClient({{ url: '{url}' }});")
    print_line("    const trpc = createTRPCClient({ links: [wsLink({ client })] });")
    print_line(
        f"    trpc.stream.onTaskProgress.subscribe({{ taskId: '{TASK}' }}, {{ onData: console.log }});"
    )
    print_line("")


def _conclude(url: str, stay: bool) -> None:
    if stay:
        print_line(f"The hub stays at {url}; Ctrl-C ends it.")
    else:
        print_line("Next: `adohub serve` runs a hub of your own; `adohub demo --stay` keeps this one.")
