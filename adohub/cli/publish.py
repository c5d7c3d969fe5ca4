"""`adohub publish`: events from the command line or from stdin."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import click
import orjson
import trio
from attrs import frozen

from adohub.cli.ending import BadInput, run
from adohub.cli.lines import print_json, print_line
from adohub.cli.options import IDENTIFIER, Target, hub_options
from adohub.cli.streams import note
from adohub.client import Client
from adohub.errors import PeerError

BATCH_EVENTS = 100
"""How many lines are published at once, at most."""

READ_BYTES = 64 * 1024
"""How much of stdin is read at once, at most."""

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is no payload, but a file that has no lines."""

_STDIN = 0

Payload = Mapping[str, Any]


@click.command()
@click.argument("topic", type=IDENTIFIER)
@click.argument("payload", metavar="[JSON|-]", default="-")
@click.option("--many", is_flag=True, help="Read one payload a line from stdin, and publish them in order.")
@click.option("--json", "as_json", is_flag=True, help="Print what the hub answers as JSON.")
@hub_options
def command(topic: str, payload: str, many: bool, as_json: bool, url: str, token: str | None) -> None:
    """Publish an event and print its id, once the hub has stored it.

    The payload is JSON, given here or read from stdin. A hub that goes away is waited for; nothing is
    published twice. With --many, the first line that is refused ends it; those before it are published.

    \b
    Examples:  adohub publish deploy.release '{"env": "prod", "version": "1.2"}'
               jq -c .events[] log.json | adohub publish task.progress --many
    """
    if many and payload != "-":
        raise click.UsageError("--many reads payloads from stdin; leave out the JSON argument")
    target = Target(url, token)
    publish = partial(_publish_lines, topic=topic) if many else _publishing_one(topic, payload)

    async def main() -> int:
        async with target.connect() as client:
            await publish(client, as_json=as_json)
        return 0

    run(main)


# ── one ──────────────────────────────────────────────────────────────────────────────────────────────────


def _publishing_one(topic: str, text: str) -> Callable[..., Any]:
    """What publishes the payload in `text`, or in stdin; which is read before a connection is made."""
    payload = _payload(_all_of_stdin() if text == "-" else text, "the payload")

    async def publish(client: Client, as_json: bool) -> None:
        receipt = await client.publish(topic, payload)
        _show(receipt.id, as_json, timestamp=receipt.timestamp)

    return publish


def _all_of_stdin() -> bytes:
    if sys.stdin.isatty():
        note("reading the payload from this terminal; Ctrl-D ends it")
    text = sys.stdin.buffer.read()
    if not text.strip():
        raise BadInput("there is no payload: give it as an argument or on stdin")
    return text


# ── many ─────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class _Line:
    """An event to be, and the number of its line. Sent again, it has the same key, so it acts once."""

    number: int
    event: Mapping[str, Any]


async def _publish_lines(client: Client, topic: str, as_json: bool) -> None:
    first = 1
    async for texts in _batches_of_stdin():
        lines: list[_Line] = []
        try:
            lines.extend(_read(topic, texts, first))
        except BadInput:
            await _publish(client, lines, as_json)  # those before the bad line are good
            raise
        await _publish(client, lines, as_json)
        first += len(texts)


def _read(topic: str, texts: Sequence[bytes], first: int) -> Iterator[_Line]:
    """What is in lines of stdin, of which the first has this number; empty ones are left out."""
    for number, text in enumerate(texts, start=first):
        if text.strip():
            payload = _payload(text, f"line {number}")
            yield _Line(number, {"topic": topic, "payload": payload, "idempotencyKey": uuid4().hex})


async def _publish(client: Client, lines: Sequence[_Line], as_json: bool) -> None:
    """Publishes in order, at once if the hub takes all, else one by one, to the one that it refuses."""
    if not lines:
        return
    try:
        ids = await client.publish_many([line.event for line in lines])
    except PeerError as refusal:
        if len(lines) == 1:
            raise PeerError(refusal.code, f"line {lines[0].number}: {refusal.message}") from refusal
        for line in lines:
            await _publish(client, [line], as_json)
    else:
        for event_id in ids:
            _show(event_id, as_json)


async def _batches_of_stdin() -> AsyncIterator[list[bytes]]:
    """The lines of stdin as they come, at most BATCH_EVENTS at once."""
    begun = b""
    while chunk := await trio.to_thread.run_sync(os.read, _STDIN, READ_BYTES, abandon_on_cancel=True):
        *lines, begun = (begun + chunk).split(b"\n")
        for start in range(0, len(lines), BATCH_EVENTS):
            yield lines[start : start + BATCH_EVENTS]
        if len(begun) > MAX_LINE_BYTES:
            raise BadInput(f"a line of stdin is longer than {MAX_LINE_BYTES} bytes")
    yield [begun]


# ── both ─────────────────────────────────────────────────────────────────────────────────────────────────


def _payload(text: str | bytes, what: str) -> Payload:
    try:
        value = orjson.loads(text)
        orjson.dumps([[[[[value]]]]])  # as deep as in a request: more can be read than can be written
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise BadInput(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{what} is not a JSON object")
    return value


def _show(event_id: str, as_json: bool, **more: str) -> None:
    print_json({"id": event_id, **more}) if as_json else print_line(event_id)
