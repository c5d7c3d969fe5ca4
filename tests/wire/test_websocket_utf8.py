"""Text is refused as soon as it cannot become UTF-8 any more, and no sooner."""

from __future__ import annotations

from itertools import product

import pytest

from tests.wire.client_frames import ClientFrame, more, octets, ping, stream, text
from tests.wire.oracle import Heard, by_every_route, heard, heard_by_wsproto

ENDINGS = [
    b"",
    *(start + rest for start in (b"\x80", b"\x90", b"\xa0") for rest in (b"", b"\x80", b"\x80\x80")),
]
"""Whatever UTF-8 begins with, one of these completes it."""

EDGES = bytes.fromhex("00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")
"""Both sides of every border in the table of well-formed sequences (Unicode, table 3-7)."""

VALID = "a\0é߿ࠀ漢\ud7ff\ue000\uffff🎈\U0010ffff".encode()
WRONG_BYTES = (0x80, 0xBF, 0xC0, 0xC1, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF)


def can_become_utf8(beginning: bytes) -> bool:
    return any(_is_utf8(beginning + ending) for ending in ENDINGS)


def _is_utf8(whole: bytes) -> bool:
    try:
        whole.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_refused(beginning: bytes, *, after: bytes = b"") -> bool:
    """Whether a text frame is refused of which only this beginning is here, whole or in two reads."""
    sent = bytes(ClientFrame(after + beginning + b"\0" * 9))[:-9]
    verdict = heard(sent[: -len(beginning)], sent[-len(beginning) :])
    assert verdict in (Heard(()), Heard((), 1007))
    return verdict.fault is not None


def test_every_pair_of_bytes_is_judged_as_soon_as_it_is_seen() -> None:
    wrong = [
        pair.hex()
        for pair in map(bytes, product(range(256), repeat=2))
        if is_refused(pair) is can_become_utf8(pair)
    ]
    assert wrong == []


def test_every_border_of_the_table_is_judged_as_soon_as_it_is_seen() -> None:
    wrong = [
        three.hex()
        for three in map(bytes, product(EDGES, repeat=3))
        if is_refused(three) is can_become_utf8(three)
    ]
    assert wrong == []


@pytest.mark.parametrize("lead", [b"\xe2", b"\xed", b"\xf0", b"\xf4"])
def test_what_was_checked_before_is_remembered(lead: bytes) -> None:
    for edge in EDGES:
        beginning = bytes((edge,))
        assert is_refused(beginning, after=b"ab" + lead) is not can_become_utf8(lead + beginning)


@pytest.mark.parametrize("position", range(len(VALID)))
def test_a_wrong_byte_at_any_position_is_found_in_any_fragment(position: int) -> None:
    candidates = [VALID[:position] + bytes((wrong,)) + VALID[position + 1 :] for wrong in WRONG_BYTES]
    all_spoiled = [candidate for candidate in candidates if not _is_utf8(candidate)]
    assert len(all_spoiled) >= 8
    expected = Heard((), 1007)
    for spoiled in all_spoiled:
        whole = bytes(text(spoiled))
        assert heard_by_wsproto(whole) == expected
        assert by_every_route([whole]) == by_every_route(octets(whole)) == [expected, expected]
        for cut in range(len(spoiled) + 1):
            sent = stream(text(spoiled[:cut], final=False), more(spoiled[cut:]))
            assert heard(sent) == heard(*octets(sent)) == expected


def test_a_character_may_be_torn_between_fragments_and_around_control_frames() -> None:
    fragments = [text(b"", final=False)]
    for octet in octets(VALID):
        fragments += [more(octet, final=False), ping(octet)]
    sent = stream(*fragments, more(b""))
    expected = heard_by_wsproto(sent)
    assert expected.incoming[-1] == VALID.decode()
    assert expected.fault is None
    assert by_every_route([sent]) == by_every_route(octets(sent)) == [expected, expected]


@pytest.mark.parametrize("length", range(1, len(VALID)))
def test_a_message_must_not_end_within_a_character(length: int) -> None:
    beginning = VALID[:length]
    sent = stream(text(beginning, final=False), more(b""))
    expected = Heard((beginning.decode(),)) if _is_utf8(beginning) else Heard((), 1007)
    assert heard(sent) == heard(*octets(sent)) == heard_by_wsproto(sent) == expected


def test_binary_messages_are_not_looked_into() -> None:
    assert heard(bytes(ClientFrame(b"\xff\xed\xa0", 0x2))) == Heard((b"\xff\xed\xa0",))
