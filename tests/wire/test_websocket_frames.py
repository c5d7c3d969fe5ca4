"""What the server says is understood by another implementation: the handshake's answer, and its frames."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode

from adohub.wire.frame import binary_frame, close_frame, is_close_code, is_close_frame, pong_frame
from adohub.wire.websocket import accept_response
from tests.wire import client_frames as client
from tests.wire import strategies as some


def read(data: bytes) -> Frame:
    """The one frame in `data`, as a client sees it."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    (frame,) = protocol.received_frames()
    return frame


def test_the_example_of_section_1_3() -> None:
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in accept_response(
        "dGhlIHNhbXBsZSBub25jZQ=="
    )


def test_a_client_accepts_the_answer_to_its_own_key() -> None:
    connection = WSConnection(ConnectionType.CLIENT)
    request = connection.send(Request(host="hub", target="/"))
    key = next(
        line[18:].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")
    )
    connection.receive_data(accept_response(key.decode()))
    assert list(connection.events()) == [AcceptConnection()]


@pytest.mark.parametrize("length", client.LENGTHS)
def test_a_binary_frame_of_any_length_is_read_back(length: int) -> None:
    frame = read(binary_frame(b"\xff" * length))
    assert (frame.opcode, frame.payload, frame.message_finished) == (Opcode.BINARY, b"\xff" * length, True)


@given(client.short_payloads)
def test_a_pong_carries_the_payload_of_its_ping(payload: bytes) -> None:
    frame = read(pong_frame(payload))
    assert (frame.opcode, frame.payload) == (Opcode.PONG, payload)


def test_a_pong_has_no_room_for_more_than_a_ping() -> None:
    with pytest.raises(ValueError, match="125 bytes"):
        pong_frame(b"x" * 126)


@settings(deadline=None)
@given(st.sampled_from(client.FREE_CODES), client.reasons | st.text(some.UNICODE, min_size=100))
def test_a_close_frame_carries_code_and_reason(code: int, reason: str) -> None:
    sent = close_frame(code, reason)
    frame = read(sent)
    assert is_close_frame(sent)
    assert frame.opcode is Opcode.CLOSE
    assert isinstance(frame.payload, tuple)
    assert frame.payload[0] == code
    assert reason.startswith(frame.payload[1])
    assert len(frame.payload[1].encode()) == len(reason.encode()) or len(frame.payload[1].encode()) >= 120


@pytest.mark.parametrize("code", [None, 1005])
def test_a_close_frame_may_say_nothing(code: int | None) -> None:
    assert close_frame(code, "unsaid") == b"\x88\x00"
    assert read(close_frame(code)).payload == (CloseReason.NO_STATUS_RCVD, "")


@pytest.mark.parametrize("code", [code for code in client.BARRED_CODES if code != 1005] + [-1, 65_536])
def test_a_code_that_may_not_be_sent_is_not(code: int) -> None:
    assert not is_close_code(code)
    with pytest.raises(ValueError, match=str(code)):
        close_frame(code)
