"""A message is as long as its bytes, and one that is too long is refused before any of it is kept."""

from __future__ import annotations

import tracemalloc
from codecs import utf_8_decode
from contextlib import suppress
from unittest.mock import patch

import pytest

from adohub.wire import websocket
from adohub.wire.websocket import CloseReceived, Parser, PingReceived, ProtocolViolation
from tests.wire.client_frames import binary, close, more, octets, ping, stream, text
from tests.wire.oracle import Heard, by_every_route, heard

LIMITS = (1, 2, 125, 126, 127, 1023, 1024, 1025, 65_535, 65_536)
TOO_BIG = Heard((), 1009)


def characters(length: int) -> str:
    """Text of `length` bytes, of as few characters as may be."""
    return "🎈" * (length // 4) + ("", "a", "é", "漢")[length % 4]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_the_limit_is_in_bytes_and_may_be_reached(limit: int, excess: int) -> None:
    length = limit + excess
    for content in ("x" * length, characters(length)):
        sent = bytes(text(content))
        expected = Heard((content,)) if excess <= 0 else TOO_BIG
        assert by_every_route([sent], limit=limit) == [expected, expected]
        assert by_every_route([sent[:7], sent[7:]], limit=limit) == [expected, expected]
    payload = b"\xff" * length
    expected = Heard((payload,)) if excess <= 0 else TOO_BIG
    assert by_every_route([bytes(binary(payload))], limit=limit) == [expected, expected]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_the_limit_counts_all_fragments(limit: int, excess: int) -> None:
    content = characters(limit + excess).encode()
    for size in {1, len(content) // 2, len(content) - 1, len(content)} - {-1, 0}:
        fragments = [content[start : start + size] for start in range(0, min(len(content), 200 * size), size)]
        fragments.append(content[len(fragments) * size :])
        sent = stream(
            text(b"", final=False),
            *(more(fragment, final=False) for fragment in fragments),
            ping(),
            more(b""),
        )
        expected = Heard((PingReceived(b""), content.decode())) if excess <= 0 else TOO_BIG
        assert by_every_route([sent], limit=limit) == [expected, expected]


@pytest.mark.parametrize("limit", LIMITS)
def test_the_header_decides(limit: int) -> None:
    header = text("x" * (limit + 1)).header
    expected = Heard(("a",), 1009)
    assert by_every_route([bytes(text("a")), header], limit=limit) == [expected, expected]
    assert by_every_route(octets(bytes(text("a")) + header), limit=limit) == [expected, expected]


def test_the_header_of_the_fragment_that_is_too_much_decides() -> None:
    sent = stream(binary(b"x" * 60, final=False), more(b"x" * 40, final=False))
    assert by_every_route([sent], limit=100) == [Heard(()), Heard(())]
    assert by_every_route([sent + more(b"x").header], limit=100) == [TOO_BIG, TOO_BIG]


def test_a_new_message_begins_to_count_anew() -> None:
    sent = stream(*[text("x" * 60, final=False), more(b"y" * 40)] * 3, *[text("z" * 100)] * 3)
    expected = Heard(("x" * 60 + "y" * 40,) * 3 + ("z" * 100,) * 3)
    assert (
        by_every_route([sent], limit=100) == by_every_route(octets(sent), limit=100) == [expected, expected]
    )


def test_control_frames_are_not_messages() -> None:
    sent = stream(ping(b"x" * 125), close(1000, "y" * 123))
    expected = Heard((PingReceived(b"x" * 125), CloseReceived(1000, "y" * 123)))
    assert by_every_route([sent], limit=1) == [expected, expected]


def test_the_reason_names_the_limit() -> None:
    with pytest.raises(ProtocolViolation, match="1048576 bytes"):
        Parser(1_048_576).receive(binary(b"x" * 1_048_577).header)


# ── time and memory ─────────────────────────────────────────────────────────────────────────────────────

PARSERS = 50


def bytes_held_after(*reads: bytes) -> float:
    """How many bytes a parser holds on average after these reads."""
    limit = 1_048_576
    tracemalloc.start()
    try:
        parsers = [Parser(limit) for _ in range(PARSERS)]
        for parser in parsers:
            with suppress(ProtocolViolation):
                for read in reads:
                    parser.receive(read)
        return tracemalloc.get_traced_memory()[0] / PARSERS
    finally:
        tracemalloc.stop()


def test_a_byte_is_checked_a_few_times_at_most_however_slowly_a_text_comes() -> None:
    sent = octets(bytes(text("漢🎈" * 500)))
    with patch.object(websocket, "utf_8_decode", wraps=utf_8_decode) as decoded:
        assert heard(*sent) == Heard(("漢🎈" * 500,))
    assert sum(len(call.args[0]) for call in decoded.call_args_list) <= 4 * len(sent)


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [bytes(text("x" * 500))],
        [bytes(text("x" * 50_000))],
        octets(bytes(text("x" * 500))),
        octets(stream(text("x" * 500, final=False), ping(b"y" * 100), more(b"z" * 500))),
        [bytes(text("x" * 500)), bytes(close(1000)), b"x" * 50_000],
        [stream(text("x" * 50_000, final=False), close(1000))],
        [bytes(text("x" * 50_000, final=False)), b"\x80", b"\xff" * 50_000],
    ],
    ids=[
        "never",
        "a small message",
        "a large message",
        "a message, byte by byte",
        "fragments, byte by byte",
        "what comes after a close",
        "a close inside a message",
        "a violation inside a message",
    ],
)
def test_between_messages_a_parser_holds_next_to_nothing(reads: list[bytes]) -> None:
    assert bytes_held_after(*reads) < 300


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_message_may_come_in_so_many_frames_and_no_more(number: int) -> None:
    parser = Parser(1000, max_fragments=3)
    frames = [text("x", final=number == 1), *(more(b"", final=nth == number) for nth in range(2, number + 1))]
    assert parser.receive(stream(*frames, text("y"))) == ["x", "y"]


def test_frames_without_anything_in_them_count_and_control_frames_between_do_not() -> None:
    parser = Parser(1000, max_fragments=3)
    begun = stream(
        text("", final=False), ping(b"p"), more(b"", final=False), ping(b"p"), more(b"", final=False)
    )
    assert parser.receive(begun) == [PingReceived(b"p")] * 2
    with pytest.raises(ProtocolViolation) as violation:
        parser.receive(bytes(more(b"")))
    assert (violation.value.code, violation.value.limit) == (1009, "max_frame_fragments")
