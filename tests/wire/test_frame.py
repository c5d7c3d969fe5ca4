"""Server frames are what RFC 6455 says: read back by another implementation, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode

from adohub.wire.frame import PING_FRAME, clipped_reason, is_close_frame, text_frame, text_header
from tests.wire import strategies as some


def read(data: bytes) -> list[Frame]:
    """The frames in `data`, as a client sees them."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    return list(protocol.received_frames())


def text_in(frame: Frame) -> str:
    assert frame.opcode is Opcode.TEXT
    assert frame.frame_finished
    assert frame.message_finished
    assert isinstance(frame.payload, str)
    return frame.payload


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])
def test_a_text_frame_of_any_length_is_read_back(length: int) -> None:
    (frame,) = read(text_frame(b"x" * length))
    assert text_in(frame) == "x" * length


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "81 00"),
        (125, "81 7d"),
        (126, "81 7e 007e"),
        (65_535, "81 7e ffff"),
        (65_536, "81 7f 0000000000010000"),
        (2**40, "81 7f 0000010000000000"),
    ],
)
def test_the_length_takes_as_little_room_as_it_can(length: int, header: str) -> None:
    assert text_header(length) == bytes.fromhex(header)


@settings(deadline=None)
@given(st.lists(st.text(some.UNICODE, max_size=200), max_size=8))
def test_frames_in_a_row_are_read_one_by_one(texts: list[str]) -> None:
    stream = b"".join(text_frame(text.encode()) for text in texts)
    assert [text_in(frame) for frame in read(stream)] == texts


def test_a_ping_is_a_ping() -> None:
    (frame,) = read(PING_FRAME)
    assert (frame.opcode, frame.payload) == (Opcode.PING, b"")


def test_only_a_close_frame_ends_what_may_be_sent() -> None:
    server = FrameProtocol(client=False, extensions=[])
    close = bytes(server.close(CloseReason.SERVICE_RESTART, "bye"))
    assert is_close_frame(close)
    assert not any(map(is_close_frame, [b"", PING_FRAME, text_frame(b"\x88"), text_frame(b"")]))


@settings(deadline=None)
@given(st.text(some.UNICODE, max_size=200))
@example("x" * 123)
@example("x" * 124)
@example("é" * 62)
def test_a_close_reason_is_cut_to_its_room_between_characters(reason: str) -> None:
    clipped = clipped_reason(reason)
    assert reason.startswith(clipped)
    assert len(clipped.encode()) <= 123
    if clipped != reason:
        assert len(reason[: len(clipped) + 1].encode()) > 123
    server = FrameProtocol(client=False, extensions=[])
    (frame,) = read(bytes(server.close(CloseReason.GOING_AWAY, clipped)))
    assert frame.payload == (CloseReason.GOING_AWAY, clipped)
