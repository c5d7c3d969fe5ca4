"""RFC 6455 frames as a server sends them: never masked, never fragmented, so one frame serves every socket.

Source: RFC 6455, sections 5.2, 5.5 and 7.4.
"""

from __future__ import annotations

import struct

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_MAX_CONTROL_BYTES = 125
_MAX_REASON_BYTES = _MAX_CONTROL_BYTES - 2

_MEDIUM = struct.Struct("!BBH")

NO_STATUS = 1005
"""The close code that says that there was none; never on the wire (RFC 6455, section 7.4.1)."""

NO_CLOSE = 1006
"""The close code that says that there was no close frame; never on the wire either."""

PING_FRAME = bytes((_PING, 0))
"""A protocol-level ping; every client answers it below the application."""


def text_frame(payload: bytes) -> bytes:
    """One text message. `payload` is UTF-8."""
    length = len(payload)
    if 126 <= length < 65536:  # most of them
        return _MEDIUM.pack(_TEXT, 126, length) + payload
    return _header(_TEXT, length) + payload


def text_header(length: int) -> bytes:
    """The header of a text message of `length` bytes."""
    return _MEDIUM.pack(_TEXT, 126, length) if 126 <= length < 65536 else _header(_TEXT, length)


def binary_frame(payload: bytes) -> bytes:
    """One binary message."""
    return _header(_BINARY, len(payload)) + payload


def binary_header(length: int) -> bytes:
    """The header of a binary message of `length` bytes."""
    return _header(_BINARY, length)


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return _MEDIUM.pack(first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping of this payload. Raises ValueError if it has more than 125 bytes."""
    if len(payload) > _MAX_CONTROL_BYTES:
        raise ValueError(f"a control frame may have {_MAX_CONTROL_BYTES} bytes, not {len(payload)}")
    return bytes((_PONG, len(payload))) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """The last frame, with as much of `reason` as it has room for.

    Without a code (None or NO_STATUS) there is no reason either. Raises ValueError for a code that may not
    be sent.
    """
    if code is None or code == NO_STATUS:
        return bytes((_CLOSE, 0))
    if not is_close_code(code):
        raise ValueError(f"close code {code} may not be sent")
    payload = code.to_bytes(2, "big") + clipped_reason(reason).encode()
    return bytes((_CLOSE, len(payload))) + payload


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry `code`.

    Source: RFC 6455, section 7.4, and IANA's "WebSocket Close Code Number" registry, which adds 1012-1014.
    """
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def is_close_frame(data: bytes) -> bool:
    """Whether `data` begins with a close frame, after which nothing may be sent."""
    return data[:1] == bytes((_CLOSE,))


def clipped_reason(reason: str) -> str:
    """`reason`, cut to what a close frame has room for."""
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
