"""A client's stream means what RFC 6455 says, however it is cut; wsproto is asked for a second opinion."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.errors import Goodbye
from adohub.wire.websocket import CloseReceived, Parser, PingReceived, PongReceived, ProtocolViolation
from tests.wire import client_frames as client
from tests.wire.client_frames import (
    ClientFrame,
    binary,
    close,
    every_prefix,
    more,
    octets,
    pieces,
    ping,
    pong,
    stream,
    text,
)
from tests.wire.oracle import NO_LIMIT, Heard, by_every_route, heard, heard_by_wsproto

# ── the same as wsproto ──────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=200)
@given(client.conversations(), client.cuts)
def test_a_good_client_is_understood_however_its_bytes_are_cut(
    frames: list[ClientFrame], cuts: list[int]
) -> None:
    sent = stream(*frames)
    expected = heard_by_wsproto(sent)
    assert expected.fault is None
    assert by_every_route([sent]) == [expected, expected]
    assert by_every_route(pieces(sent, cuts)) == [expected, expected]


@settings(deadline=None, max_examples=300)
@given(client.misbehaviour(), client.cuts)
def test_a_bad_client_gets_the_same_verdict_after_the_same_messages(
    frames: list[ClientFrame], cuts: list[int]
) -> None:
    sent = stream(*frames)
    expected = heard_by_wsproto(sent)
    assert by_every_route([sent]) == [expected, expected]
    assert by_every_route(pieces(sent, cuts)) == [expected, expected]


@settings(deadline=None, max_examples=100)
@given(client.misbehaviour().filter(lambda frames: len(stream(*frames)) < 1500))
def test_a_stream_may_end_anywhere_and_come_a_byte_at_a_time(frames: list[ClientFrame]) -> None:
    """A verdict may come before wsproto's, but only the one to which the whole stream leads."""
    sent = stream(*frames)
    final = heard_by_wsproto(sent).fault
    parser = Parser(NO_LIMIT)
    so_far = Heard(())
    for octet, prefix in zip(octets(sent), list(every_prefix(sent))[1:], strict=True):
        if so_far.fault is None:
            so_far = _one_more(parser, so_far, octet)
        assert so_far == heard(prefix)
        second_opinion = heard_by_wsproto(prefix)
        assert so_far.incoming == second_opinion.incoming
        assert so_far.fault in (second_opinion.fault, final)
        assert second_opinion.fault in (so_far.fault, None)


def _one_more(parser: Parser, so_far: Heard, read: bytes) -> Heard:
    try:
        return Heard((*so_far.incoming, *parser.receive(read)))
    except ProtocolViolation as violation:
        return Heard((*so_far.incoming, *violation.before), violation.code)


@settings(deadline=None, max_examples=600)
@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"\x81\x85", b"\x01\x83", b"\x80\x80", b"\x81\xfe\0"]))
)
def test_any_bytes_are_messages_or_a_violation(reads: list[bytes]) -> None:
    """Nothing but ProtocolViolation is ever raised."""
    expected = heard(b"".join(reads))
    assert by_every_route(reads) == [expected, expected]
    second_opinion = heard_by_wsproto(*reads)
    assert expected.incoming == second_opinion.incoming
    assert second_opinion.fault in (expected.fault, None)


DISAGREEMENTS = {
    "section 7.4.2 leaves 1000-2999 to the protocol's registry, and IANA has assigned 1014": (
        stream(close(1014)),
        Heard((CloseReceived(1014, ""),)),
        Heard((), 1002),
    ),
    "section 8.1: a surrogate's first two bytes are no beginning of a UTF-8 sequence": (
        stream(text(b"\xed\xa0\x80"))[:-1],
        Heard((), 1007),
        Heard(()),
    ),
    "section 5.4: a message is not begun inside another, before its first byte comes": (
        stream(text("a", final=False), text("b"))[:-1],
        Heard((), 1002),
        Heard(()),
    ),
    "section 5.4: a continuation continues something, before its first byte comes": (
        stream(more(b"b"))[:-1],
        Heard((), 1002),
        Heard(()),
    ),
    "section 5.1: an unmasked frame is one, before its length is known": (
        stream(ClientFrame(b"x" * 126, masked=False))[:2],
        Heard((), 1002),
        Heard(()),
    ),
    "section 5.2: a reserved bit is set, before the length is known": (
        stream(ClientFrame(b"x" * 126, reserved=1))[:2],
        Heard((), 1002),
        Heard(()),
    ),
}
"""By what RFC 6455 says: a stream, what it means, and what wsproto 1.3.2 makes of it. No others are known."""


@pytest.mark.parametrize("paragraph", DISAGREEMENTS)
def test_where_wsproto_disagrees_the_rfc_decides(paragraph: str) -> None:
    sent, ours, wsprotos = DISAGREEMENTS[paragraph]
    assert by_every_route([sent]) == by_every_route(octets(sent)) == [ours, ours]
    assert heard_by_wsproto(sent) == wsprotos


# ── to the letter ────────────────────────────────────────────────────────────────────────────────────────


def test_the_examples_of_section_5_7() -> None:
    masked_hello = bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    masked_pong = bytes.fromhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")
    assert heard(masked_hello + masked_pong) == Heard(("Hello", PongReceived(b"Hello")))
    assert heard(bytes.fromhex("81 05 48 65 6c 6c 6f")) == Heard((), 1002)


@pytest.mark.parametrize("length", client.LENGTHS)
@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\x01\x80\x00\xfe"])
def test_a_payload_of_any_length_under_any_key(length: int, key: bytes) -> None:
    ascii_text, noise = "x" * length, (bytes(range(256)) * 257)[:length]
    sent = stream(ClientFrame(ascii_text.encode(), key=key), ClientFrame(noise, client.BINARY, key=key))
    expected = Heard((ascii_text, noise))
    assert by_every_route([sent]) == by_every_route([sent[:9], sent[9:]]) == [expected, expected]


def test_control_frames_between_fragments_come_at_once() -> None:
    parser = Parser(NO_LIMIT)
    assert parser.receive(stream(text("a", final=False), ping(b"1"))) == [PingReceived(b"1")]
    assert parser.receive(stream(more(b"", final=False), pong(b"2"))) == [PongReceived(b"2")]
    assert parser.receive(stream(more(b"b"), binary(b"c"))) == ["ab", b"c"]


FAULTS: dict[str, tuple[ClientFrame, int]] = {
    "5.1: no mask": (ClientFrame(b"hello", masked=False), 1002),
    "5.2: reserved bit 1": (ClientFrame(reserved=4), 1002),
    "5.2: reserved bit 2": (ClientFrame(reserved=2), 1002),
    "5.2: reserved bit 3, of a control frame": (ClientFrame(opcode=client.PING, reserved=1), 1002),
    **{f"5.2: reserved opcode {code}": (ClientFrame(opcode=code), 1002) for code in (3, 4, 5, 6, 7)},
    **{f"5.2: reserved opcode {code}": (ClientFrame(opcode=code), 1002) for code in range(11, 16)},
    "5.2: 0 in 2 bytes": (ClientFrame(width=2), 1002),
    "5.2: 125 in 2 bytes": (ClientFrame(b"x" * 125, width=2), 1002),
    "5.2: 125 in 8 bytes": (ClientFrame(b"x" * 125, width=8), 1002),
    "5.2: 65,535 in 8 bytes": (ClientFrame(b"x" * 65_535, width=8), 1002),
    "5.4: a continuation of nothing": (more(b"x"), 1002),
    "5.4: an empty continuation of nothing": (more(b"", final=False), 1002),
    "5.5: a fragmented ping": (ClientFrame(opcode=client.PING, final=False), 1002),
    "5.5: a fragmented close": (ClientFrame(opcode=client.CLOSE, final=False), 1002),
    "5.5: a ping of 126 bytes": (ping(b"x" * 126), 1002),
    "5.5: a close of 126 bytes": (close(1000, "x" * 124), 1002),
    "5.5: a ping with a length in 2 bytes": (ClientFrame(opcode=client.PING, width=2), 1002),
    "5.5.1: half a close code": (ClientFrame(b"\x03", client.CLOSE), 1002),
    "5.5.1: a reason that is no UTF-8": (close(1000, b"caf\xe9"), 1007),
    "5.5.1: a reason that ends within a character": (close(1000, b"\xf0\x9f\x8e"), 1007),
    **{f"7.4: close code {code}": (close(code), 1002) for code in client.BARRED_CODES},
    "8.1: text that is no UTF-8": (text(b"caf\xe9 au lait"), 1007),
    "8.1: text that ends within a character": (text(b"\xf0\x9f\x8e"), 1007),
    "8.1: long text that is no UTF-8": (text(b"x" * 70_000 + b"\xff"), 1007),
}
"""By the section of RFC 6455 that it breaks: a frame, and the close code for it."""


@pytest.mark.parametrize("section", FAULTS)
def test_a_fault_takes_nothing_from_what_came_before_it(section: str) -> None:
    frame, code = FAULTS[section]
    sent = stream(text("before"), ping(b"too"), frame, text("after"))
    expected = Heard(("before", PingReceived(b"too")), code)
    assert heard_by_wsproto(sent) == expected
    assert by_every_route([sent]) == by_every_route(octets(sent)) == [expected, expected]


@pytest.mark.parametrize("opcode", [client.TEXT, client.BINARY])
def test_a_message_inside_another_is_a_fault(opcode: int) -> None:
    sent = stream(text("a", final=False), ClientFrame(b"b", opcode), more(b"c"))
    expected = Heard((), 1002)
    assert by_every_route([sent]) == by_every_route(octets(sent)) == [expected, expected]


@pytest.mark.parametrize("length", [2**63, 2**64 - 1])
def test_a_length_with_its_highest_bit_set_is_no_length(length: int) -> None:
    header = b"\x82\xff" + length.to_bytes(8, "big")
    assert heard(header) == heard_by_wsproto(header) == Heard((), 1002)


@pytest.mark.parametrize("code", client.FREE_CODES)
def test_a_close_code_and_its_reason_are_heard(code: int) -> None:
    assert heard(stream(close(code, "bye… 👋"))) == Heard((CloseReceived(code, "bye… 👋"),))
    assert heard(stream(close(code, "x" * 123))) == Heard((CloseReceived(code, "x" * 123),))


def test_a_close_without_a_code_has_none() -> None:
    assert heard(stream(close())) == Heard((CloseReceived(None, ""),))


def test_nothing_is_taken_after_a_close() -> None:
    parser = Parser(NO_LIMIT)
    last = CloseReceived(1000, "")
    assert parser.receive(stream(text("a"), close(1000), text("b"))) == ["a", last]
    assert parser.receive(stream(text("c"))) == []
    assert parser.receive(b"\xff" * 100) == []


def test_nothing_is_taken_after_a_violation() -> None:
    parser = Parser(NO_LIMIT)
    with pytest.raises(ProtocolViolation):
        parser.receive(b"\xff\xff")
    assert parser.receive(stream(text("c"))) == []
    assert parser.receive(b"\xff\xff") == []


def test_a_violation_is_a_goodbye_whose_reason_fits_a_close_frame() -> None:
    for frame, code in FAULTS.values():
        with pytest.raises(Goodbye) as raised:
            Parser(NO_LIMIT).receive(bytes(frame))
        assert raised.value.code == code
        assert 0 < len(raised.value.reason.encode()) <= 123


def test_half_a_close_code_is_not_taken_for_a_code() -> None:
    with pytest.raises(ProtocolViolation, match="has 2 bytes"):
        Parser(NO_LIMIT).receive(bytes(ClientFrame(b"\x03", client.CLOSE)))


def test_no_bytes_are_no_news() -> None:
    parser = Parser(NO_LIMIT)
    sent = stream(text("a", final=False), more(b"b"))
    assert parser.receive(b"") == []
    assert parser.receive(sent[:9]) + parser.receive(b"") + parser.receive(sent[9:]) == ["ab"]
