"""`python -m tests.bench`: the side-by-side table."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial

import click
import trio
from attrs import evolve
from rich.console import Console

from tests.bench.errors import BenchError
from tests.bench.machine import Cores, description, raise_descriptor_limit
from tests.bench.peers import PEERS, Peer, Wishes
from tests.bench.plan import FULL, QUICK, Plan
from tests.bench.report import Report
from tests.bench.rig import Rig
from tests.bench.run import measure
from tests.bench.scenarios import SCENARIOS
from tests.bench.workshop import open_workshop

SPARE_DESCRIPTORS = 200
"""How many files a server or a load generator opens besides its connections."""

NARROWEST_TABLE = 130
"""Columns of the table where it does not go to a terminal."""


def _arguments(words: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m tests.bench",
        description="Measure adohub beside its peers: the server on one core, the load on another.",
    )
    parser.add_argument("--quick", action="store_true", help="one round of short measurements, rough figures")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/performance.md")
    scenarios, peers = [each.name for each in SCENARIOS], [each.name for each in PEERS]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=scenarios,
        default=scenarios,
        metavar="SCENARIO",
        help=f"of: {', '.join(scenarios)}",
    )
    parser.add_argument(
        "--peers", nargs="+", choices=peers, default=peers, metavar="PEER", help=f"of: {', '.join(peers)}"
    )
    parser.add_argument("--rounds", type=int, help="how many rounds; medians are taken over them")
    parser.add_argument("--websocket", metavar="HOST", help="adohub's [server] websocket, not its default")
    return parser.parse_args(words)


def _plan(arguments: Namespace) -> tuple[Plan, list[str]]:
    """The plan as far as this machine can follow it, and where it cannot."""
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = evolve(plan, rounds=arguments.rounds)
    most = raise_descriptor_limit() - SPARE_DESCRIPTORS
    if plan.idle_connections <= most:
        return plan, []
    remark = f"{most} idle connections, not {plan.idle_connections}: the limit of open files"
    return evolve(plan, idle_connections=most), [remark]


def _able(names: Sequence[str]) -> tuple[list[Peer], list[str]]:
    """Those that can run here, and why others cannot."""
    named = [peer for peer in PEERS if peer.name in names]
    able = [peer for peer in named if peer.missing() is None]
    return able, [f"without {peer.name}: {peer.missing()}" for peer in named if peer not in able]


def _report(arguments: Namespace) -> Report:
    """Do what the arguments ask for. Raises BenchError if that cannot be done at all."""
    cores = Cores.choose()
    plan, remarks = _plan(arguments)
    peers, lacks = _able(arguments.peers)
    if not peers:
        raise BenchError("; ".join(lacks))
    if cores.shared:
        remarks.append("server and load share the only core: the figures say little")
    scenarios = [each for each in SCENARIOS if each.name in arguments.only]
    about = description() | {peer.name: peer.version() for peer in peers}
    with open_workshop() as workshop:
        rig = Rig(plan, workshop, cores, Wishes(websocket=arguments.websocket))
        say = partial(click.echo, err=True)
        results = trio.run(measure, rig, scenarios, peers, say)
    return Report(plan, peers, scenarios, results, about, [*lacks, *remarks])


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 if a measurement failed, 2 if none could be made."""
    arguments = _arguments(words)
    try:
        report = _report(arguments)
    except BenchError as error:
        click.echo(error, err=True)
        return 2
    if arguments.json:
        click.echo(json.dumps(report.as_json(), indent=2))
    elif arguments.markdown:
        click.echo(report.as_markdown())
    else:
        report.print(Console(width=None if sys.stdout.isatty() else NARROWEST_TABLE))
    return 1 if report.results.faults else 0


if __name__ == "__main__":
    sys.exit(main())
