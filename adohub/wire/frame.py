"""RFC 6455 frames as a server sends them: never masked, never fragmented, so one frame serves every socket.

Source: RFC 6455, section 5.2.
"""

from __future__ import annotations

import struct

_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89
_MAX_REASON_BYTES = 123

PING_FRAME = bytes((_PING, 0))
"""A protocol-level ping; every client answers it below the application."""


def text_frame(payload: bytes) -> bytes:
    """One text message. `payload` is UTF-8."""
    return text_header(len(payload)) + payload


def text_header(length: int) -> bytes:
    """The header of a text message of `length` bytes."""
    if length < 126:
        return bytes((_TEXT, length))
    if length < 65536:
        return struct.pack("!BBH", _TEXT, 126, length)
    return struct.pack("!BBQ", _TEXT, 127, length)


def is_close_frame(data: bytes) -> bool:
    """Whether `data` begins with a close frame, after which nothing may be sent."""
    return data[:1] == bytes((_CLOSE,))


def clipped_reason(reason: str) -> str:
    """`reason`, cut to what a close frame has room for."""
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
