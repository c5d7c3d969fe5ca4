"""`adohub publish`: events from the command line or from stdin."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any

import click
import orjson
import trio

from adohub.cli.ending import run
from adohub.cli.lines import print_json, print_line
from adohub.cli.options import Target, hub_options
from adohub.client import Client

BATCH_EVENTS = 100
"""How many lines are published at once."""


@click.command()
@click.argument("topic")
@click.argument("payload", metavar="[JSON|-]", default="-")
@click.option("--many", is_flag=True, help="Read one payload a line from stdin, and publish them in order.")
@click.option("--json", "as_json", is_flag=True, help="Print what the hub answers as JSON.")
@hub_options
def command(topic: str, payload: str, many: bool, as_json: bool, url: str, token: str | None) -> None:
    """Publish an event and print its id, once the hub has stored it.

    The payload is JSON, given here or read from stdin. A hub that goes away is waited for; nothing is
    published twice.

    \b
    Examples:  adohub publish deploy.release '{"env": "prod", "version": "1.2"}'
               jq -c .events[] log.json | adohub publish task.progress --many
    """
    if many and payload != "-":
        raise click.UsageError("--many reads payloads from stdin; leave out the JSON argument")
    target = Target(url, token)
    one = None if many else _payload(sys.stdin.read() if payload == "-" else payload, "the payload")

    async def main() -> int:
        async with target.connect() as client:
            if one is None:
                await _publish_lines(client, topic, as_json)
            else:
                receipt = await client.publish(topic, one)
                answer = {"id": receipt.id, "timestamp": receipt.timestamp}
                print_json(answer) if as_json else print_line(receipt.id)
        return 0

    run(main)


async def _publish_lines(client: Client, topic: str, as_json: bool) -> None:
    number = 0
    while lines := await trio.to_thread.run_sync(_next_lines, abandon_on_cancel=True):
        events = []
        for line in lines:
            number += 1
            if line.strip():
                events.append({"topic": topic, "payload": _payload(line, f"line {number}")})
        for event_id in await client.publish_many(events) if events else []:
            print_json({"id": event_id}) if as_json else print_line(event_id)


def _next_lines() -> list[str]:
    """Some lines of stdin: at least one unless it has ended, one at a time from a terminal."""
    first = sys.stdin.readline()
    if not first or sys.stdin.isatty():
        return [first] if first else []
    return [first, *islice(sys.stdin, BATCH_EVENTS - 1)]


def _payload(text: str, what: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{what} is not a JSON object")
    return value
