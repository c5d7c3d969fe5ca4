"""A running hub keeps RFC 6455 to the letter, exchange by exchange, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
import trio
import trio.testing

from adohub.config import Config, Server
from adohub.wire.packed import unpack
from tests.conformance import closings, exchanges, texts
from tests.conformance.differences import DIFFERENCES, heard_by_trio_websocket, met
from tests.conformance.exchanges import BYE, LIMIT, NO_REQUEST, WAITING, Exchange, Section, code, echo, query
from tests.net import raw
from tests.running import hosting, running_hub
from tests.wire import client_frames as client
from tests.wire.client_frames import ClientFrame, more, ping, stream, text

CONFIG = Config(server=Server(port=0, max_message_bytes=LIMIT))

PATIENCE_S = 0.2
"""How long a connection is listened to that does not end. `native` always ends it."""

SECTIONS = {
    "framing": exchanges.framing(),
    "pings": exchanges.pings(),
    "reserved": exchanges.reserved(),
    "fragmentation": exchanges.fragmentation(),
    "utf8": texts.utf8(),
    "closing": closings.closing(),
    "limits": closings.limits(),
}


@pytest.mark.parametrize("name", SECTIONS)
async def test_every_exchange_goes_as_the_rfc_says(name: str) -> None:
    assert await unlike(SECTIONS[name]) == {}


def test_every_known_difference_is_one_that_some_exchange_shows() -> None:
    shown_by = [met(name, exchange) for section in SECTIONS.values() for name, exchange in section.items()]
    assert all(difference in shown_by for difference in DIFFERENCES)


async def test_a_good_conversation_may_be_cut_anywhere() -> None:
    frames = [
        text(query("ä")[:40], final=False),
        ping(b"1"),
        more(query("ä")[40:]),
        text(query("b", size=130)),
        ping(b""),
        ClientFrame(b"\xfe", client.BINARY),
    ]
    whole = stream(*frames) + BYE
    heard = ["pong 31", echo("ä"), echo("b"), "pong ", NO_REQUEST, code(1000)]
    cuts: Section = {f"cut at {at}": Exchange([whole[:at], whole[at:]], heard) for at in range(1, len(whole))}
    cuts["a byte at a time"] = Exchange(
        [whole[at:next_at] for at, next_at in pairwise(range(len(whole) + 1))], heard
    )
    assert await unlike(cuts) == {}


async def unlike(section: Section) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    """What of `section` a hub has not heard as it should: that, and what it heard instead."""
    found: dict[str, tuple[Sequence[str], Sequence[str]]] = {}
    async with running_hub(CONFIG) as hub:
        for name, exchange in section.items():
            expected = exchange.heard
            if hosting.websocket == "trio-websocket":
                expected = heard_by_trio_websocket(name, exchange)
            heard = await held(hub.port, exchange.sent)
            if in_order(heard) != in_order(expected):
                found[name] = expected, heard
    return found


def in_order(heard: Sequence[str]) -> tuple[list[str], list[str]]:
    """Pongs and all else: section 5.5.3 lets a pong overtake the answers to what came before its ping."""
    return [one for one in heard if one.startswith("pong")], [
        one for one in heard if not one.startswith("pong")
    ]


async def held(port: int, sent: Sequence[bytes]) -> list[str]:
    """Hold an exchange with the hub at `port`: what is heard. Each piece is read before the next is sent."""
    async with await raw.upgraded(port) as stream:
        for piece in sent:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        received = bytearray()
        with suppress(trio.BrokenResourceError), trio.move_on_after(PATIENCE_S) as patience:
            async for chunk in stream:
                received += chunk
                if list(shown(bytes(received)))[-1].startswith("close"):
                    await raw.end(stream)
    return [*shown(bytes(received)), *([WAITING] if patience.cancelled_caught else [])]


def shown(received: bytes) -> Iterator[str]:
    """What a hub has said, in the words of `tests.conformance.exchanges`."""
    at = 0
    while at < len(received):
        length, at_payload = received[at + 1], at + 2
        if length == 126:
            length, at_payload = int.from_bytes(received[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            length, at_payload = int.from_bytes(received[at + 2 : at + 10], "big"), at + 10
        payload = received[at_payload : at_payload + length]
        yield _shown(received[at], payload)
        at = at_payload + length


def _shown(first: int, payload: bytes) -> str:
    if first == 0x80 | client.PONG:
        return f"pong {payload.hex()}"
    if first == 0x80 | client.CLOSE:
        return code(int.from_bytes(payload[:2], "big") if payload else None)
    assert first in (0x80 | client.TEXT, 0x80 | client.BINARY)
    message = json.loads(payload) if first & 1 else unpack(payload)
    if message["id"] is None:
        assert message["error"]["data"]["code"] == "PARSE_ERROR"
        return NO_REQUEST
    assert message["error"]["data"]["code"] == "NOT_FOUND"
    return echo(message["error"]["data"]["path"])
