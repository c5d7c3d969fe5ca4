"""What a client's bytes say: to adohub's parser, and to wsproto, which is asked for a second opinion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from attrs import frozen
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed

from adohub.wire import websocket
from adohub.wire.websocket import (
    CloseReceived,
    Incoming,
    Parser,
    PingReceived,
    PongReceived,
    ProtocolViolation,
)

NO_LIMIT = 2**63
"""wsproto's frame layer has none."""


@frozen
class Heard:
    """What was received, and the close code for the fault that ended it, if one did."""

    incoming: tuple[Incoming, ...]
    fault: int | None = None


def heard(*reads: bytes, limit: int = NO_LIMIT) -> Heard:
    """What a parser makes of these reads."""
    parser = Parser(limit)
    incoming: list[Incoming] = []
    for read in reads:
        try:
            incoming += parser.receive(read)
        except ProtocolViolation as violation:
            return Heard((*incoming, *violation.before), violation.code)
    return Heard(tuple(incoming))


def heard_by_wsproto(*reads: bytes) -> Heard:
    """What wsproto makes of them."""
    protocol = FrameProtocol(client=False, extensions=[])
    incoming: list[Incoming] = []
    parts: list[str | bytes] = []
    for read in reads:
        protocol.receive_bytes(read)
        try:
            for frame in protocol.received_frames():
                incoming += _completed(frame, parts)
        except ParseFailed as failure:
            return Heard(tuple(incoming), int(failure.code))
    return Heard(tuple(incoming))


def _completed(frame: Frame, parts: list[str | bytes]) -> Iterator[Incoming]:
    if frame.opcode is Opcode.CLOSE:
        assert isinstance(frame.payload, tuple)
        code, reason = frame.payload
        yield CloseReceived(None if code == CloseReason.NO_STATUS_RCVD else int(code), reason or "")
        return
    assert not isinstance(frame.payload, tuple)
    if frame.opcode in (Opcode.PING, Opcode.PONG):
        payload = _joined([frame.payload])
        assert isinstance(payload, bytes)
        yield PingReceived(payload) if frame.opcode is Opcode.PING else PongReceived(payload)
        return
    parts.append(frame.payload)
    if frame.message_finished:
        yield _joined(parts)
        parts.clear()


def _joined(parts: list[str | bytes]) -> str | bytes:
    if isinstance(parts[0], str):
        return "".join(part for part in parts if isinstance(part, str))
    return b"".join(part for part in parts if not isinstance(part, str))


@contextmanager
def without_the_fast_path() -> Iterator[None]:
    """Every frame is read the long way."""
    with patch.object(websocket, "_whole_messages", lambda data, at, limit, received: at):
        yield


def by_every_route(reads: Iterable[bytes], *, limit: int = NO_LIMIT) -> list[Heard]:
    """What is heard of these reads with the fast path and without it."""
    held = list(reads)
    with without_the_fast_path():
        slowly = heard(*held, limit=limit)
    return [heard(*held, limit=limit), slowly]
