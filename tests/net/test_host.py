"""RFC 6455 over real sockets, frame by frame: both hosts say the same words."""

from __future__ import annotations

import pytest
import trio

from tests.net.raw import CLOSE, PING, PONG, TEXT, frame, read_to_end, upgraded
from tests.running import hosting, running_hub

HEALTH = {"id": 1, "method": "query", "params": {"path": "hub.health"}}
PING_TEXT = frame(TEXT, b"PING")


def closing(code: int) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big"))


def served(opcode: int, payload: bytes) -> bytes:
    """A frame as the hub sends it: unmasked."""
    return frame(opcode, payload, masked=False)


async def said(stream_in: bytes) -> bytes:
    """What the hub says to `stream_in`, until the connection ends."""
    async with running_hub() as hub, await upgraded(hub.port) as stream:
        await stream.send_all(stream_in)
        return await read_to_end(stream)


async def read(stream: trio.SocketStream, length: int) -> bytes:
    received = b""
    while len(received) < length:
        received += await stream.receive_some()
    return received


async def test_a_ping_is_answered_with_its_payload() -> None:
    assert await said(frame(PING, b"abc") + closing(1000)) == served(PONG, b"abc") + served(
        CLOSE, b"\x03\xe8"
    )


async def test_a_close_is_echoed_and_ends_the_connection() -> None:
    assert await said(closing(4000) + PING_TEXT) == served(CLOSE, (4000).to_bytes(2, "big"))


async def test_a_close_without_a_code_is_answered_without_one() -> None:
    assert await said(frame(CLOSE, b"")) == served(CLOSE, b"")


async def test_fragments_make_one_message_and_may_have_a_ping_between() -> None:
    expected = served(PONG, b"") + served(TEXT, b"PONG")
    async with running_hub() as hub, await upgraded(hub.port) as stream:
        await stream.send_all(frame(TEXT, b"PI", final=False) + frame(PING, b"") + frame(0, b"NG"))
        assert await read(stream, len(expected)) == expected


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (frame(TEXT, b"PING", masked=False), 1002),
        (frame(0, b"more"), 1002),
        (frame(0x3, b""), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(CLOSE, b"\x03"), 1002),
    ],
)
async def test_a_violation_is_named_in_the_close_and_what_came_before_is_answered(
    wrong: bytes, code: int
) -> None:
    received = await said(PING_TEXT + wrong + PING_TEXT)
    assert received.startswith(served(TEXT, b"PONG"))
    rest = received.removeprefix(served(TEXT, b"PONG"))
    if hosting.websocket == "trio-websocket":
        assert rest == b""  # it ends the connection without a word
    else:
        assert rest[0] == 0x80 | CLOSE
        assert int.from_bytes(rest[2:4], "big") == code


async def test_a_message_cut_into_single_bytes_is_a_message() -> None:
    expected = served(TEXT, b"PONG")
    async with running_hub() as hub, await upgraded(hub.port) as stream:
        for byte in PING_TEXT:
            await stream.send_all(bytes((byte,)))
        assert await read(stream, len(expected)) == expected
