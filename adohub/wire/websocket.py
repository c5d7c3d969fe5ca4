"""RFC 6455's server side without I/O: the handshake's answer; then bytes in, messages and control frames out.

What a `Parser` makes of a stream is a function of its bytes. How they are cut into reads decides only when
something is known: a violation as soon as it is certain, be it in the middle of a fragment's first half, and
a message's size before any of it is kept. Between messages a parser keeps nothing; inside one, its unmasked
bytes and a few more.

The server speaks in `adohub.wire.frame`. No extension and no subprotocol is ever agreed on.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from codecs import utf_8_decode
from collections.abc import Sequence
from typing import NamedTuple

from attrs import define, field, frozen

from adohub.errors import Goodbye
from adohub.wire.decode import DEFAULT_LIMITS
from adohub.wire.frame import is_close_code
from adohub.wire.masking import REPEATED, SMALL_BYTES, turned, unmasked

CLOSE_PROTOCOL_ERROR = 1002
CLOSE_INVALID_TEXT = 1007
CLOSE_TOO_BIG = 1009

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_OPCODES = frozenset((_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG))
_FINAL, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_MAX_CONTROL_BYTES = 125
_EXTENDED_LENGTHS = {126: (2, 126), 127: (8, 65536)}
"""By the short length: how many bytes the real one takes, and the least that needs so many."""


# ── the handshake ────────────────────────────────────────────────────────────────────────────────────────

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_response(key: str) -> bytes:
    """The 101 that opens a WebSocket. `key` is the request's `Sec-WebSocket-Key`, which has been checked.

    Source: RFC 6455, section 4.2.2.
    """
    digest = hashlib.sha1(key.strip().encode("ascii") + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + b64encode(digest) + b"\r\n\r\n"
    )


# ── what comes in ────────────────────────────────────────────────────────────────────────────────────────


@frozen
class PingReceived:
    """Answer with a pong of the same payload."""

    payload: bytes


@frozen
class PongReceived:
    """The peer is there."""

    payload: bytes


@frozen
class CloseReceived:
    """The peer's last frame; `code` is None if it gave none. Answer with a close frame if none was sent."""

    code: int | None
    reason: str


Incoming = str | bytes | PingReceived | PongReceived | CloseReceived
"""A text message, a binary message, or a control frame."""


class ProtocolViolation(Goodbye):
    """The peer broke the protocol, or its message is too big: 1002, 1007 or 1009, and why.

    `before` is what the same read held before the fault: it has been received as if nothing were wrong.
    """

    def __init__(self, code: int, reason: str, *, limit: str = "") -> None:
        super().__init__(code, reason, limit=limit)
        self.before: Sequence[Incoming] = ()


# ── the parser ───────────────────────────────────────────────────────────────────────────────────────────


class Parser:
    """One peer's stream. A message may have `max_message_bytes` in all, in up to `max_fragments` frames."""

    __slots__ = ("_is_over", "_max_fragments", "_max_message_bytes", "_message", "_tail")

    def __init__(
        self, max_message_bytes: int, max_fragments: int = DEFAULT_LIMITS.max_frame_fragments
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._tail = b""
        self._message: _Message | None = None
        self._is_over = False

    def receive(self, data: bytes) -> list[Incoming]:
        """What `data`, the next bytes of the stream, completes. Raises ProtocolViolation, once.

        After a violation or the peer's close frame nothing more is taken, and the list is empty.
        """
        received: list[Incoming] = []
        try:
            if not self._is_over:
                self._read(self._tail + data, received)
        except ProtocolViolation as violation:
            self._end()
            violation.before = received
            raise
        return received

    def _read(self, data: bytes, received: list[Incoming]) -> None:
        at = 0
        while True:
            if self._message is None:
                at = _whole_messages(data, at, self._max_message_bytes, received)
            elif self._message.awaited:
                at = self._fill(self._message, data, at, received)
            header = _read_header(data, at)
            if header is None:
                self._tail = data[at:]
                return
            at = header.end
            if header.opcode < _CLOSE:
                at = self._fill(self._begin(header), data, at, received)
            else:
                at += header.length
                received.append(_control(header.opcode, unmasked(data[header.end : at], header.key)))
                if header.opcode == _CLOSE:
                    self._end()
                    return

    def _begin(self, header: _Header) -> _Message:
        """The message that a data frame begins or continues."""
        message = self._message
        if header.opcode == _CONTINUATION:
            if message is None:
                raise _broken("a continuation of no message")
        elif message is not None:
            raise _broken("a new message inside an unfinished one")
        else:
            message = _Message(header.opcode == _TEXT)
        if len(message.content) + header.length > self._max_message_bytes:
            raise ProtocolViolation(
                CLOSE_TOO_BIG, f"messages may have {self._max_message_bytes} bytes", limit="max_message_bytes"
            )
        if message.fragments >= self._max_fragments:
            raise ProtocolViolation(
                CLOSE_TOO_BIG,
                f"messages may come in {self._max_fragments} frames",
                limit="max_frame_fragments",
            )
        message.begin(header)
        self._message = message
        return message

    def _fill(self, message: _Message, data: bytes, at: int, received: list[Incoming]) -> int:
        """Give `message` its part of `data` from `at`. Returns where that ends."""
        at = message.take(data, at)
        if message.is_complete:
            self._message = None
            received.append(message.finished())
        elif message.is_text:
            message.check()
        return at

    def _end(self) -> None:
        self._is_over = True
        self._tail = b""
        self._message = None


def _whole_messages(data: bytes, at: int, limit: int, received: list[Incoming]) -> int:
    """FENCED FAST PATH: read the run of small messages of one frame that begins at `at`. Returns its end.

    It stops before anything else, which is then read, or refused, frame by frame; without this function the
    parser does the same at a third of the speed. Key and payload, which follow each other, become one
    integer, so its lowest 32 bits are the key. Nothing is called that need not be.
    """
    end = len(data)
    integer = int.from_bytes
    try:
        while at + 6 <= end and ((first := data[at]) == _FINAL | _TEXT or first == _FINAL | _BINARY):
            length = data[at + 1]
            if length == _MASKED | 126:
                length = data[at + 2] << 8 | data[at + 3]
                key_at = at + 4
                if not 126 <= length <= SMALL_BYTES:
                    break
            elif _MASKED <= length < _MASKED | 126:
                length -= _MASKED
                key_at = at + 2
            else:
                break
            stop = key_at + 4 + length
            if stop > end or length > limit:
                break
            words = length + 7 >> 2
            masked = integer(data[key_at:stop], "little")
            plain = masked ^ (masked & 0xFFFFFFFF) * REPEATED[words]
            payload = plain.to_bytes(words * 4, "little")[4 : 4 + length]
            received.append(payload.decode() if first == _FINAL | _TEXT else payload)
            at = stop
    except UnicodeDecodeError as error:
        raise _not_utf8() from error
    return at


# ── one frame ────────────────────────────────────────────────────────────────────────────────────────────


class _Header(NamedTuple):
    """A frame's header; `end` is where its payload begins."""

    opcode: int
    is_final: bool
    length: int
    key: bytes
    end: int


def _read_header(data: bytes, at: int) -> _Header | None:
    """The header at `at`, or None if not all of it is here; a control frame must be here with its payload."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    _check_bits(first, second)
    width, least = _EXTENDED_LENGTHS.get(second & _LENGTH, (0, 0))
    key_at = at + 2 + width
    if len(data) < key_at:
        return None
    length = int.from_bytes(data[at + 2 : key_at], "big") if width else second & _LENGTH
    _check_length(length, least)
    opcode, end = first & _OPCODE, key_at + 4
    if len(data) < (end + length if opcode >= _CLOSE else end):
        return None
    return _Header(opcode, first >= _FINAL, length, data[key_at:end], end)


def _check_bits(first: int, second: int) -> None:
    """What RFC 6455, sections 5.1, 5.2 and 5.5, asks of a frame's first two bytes."""
    opcode = first & _OPCODE
    if first & _RESERVED:
        raise _broken("a reserved bit is set")
    if opcode not in _OPCODES:
        raise _broken(f"opcode {opcode} is reserved")
    if not second & _MASKED:
        raise _broken("a client's frames must be masked")
    if opcode >= _CLOSE and not first & _FINAL:
        raise _broken("a control frame may not be fragmented")
    if opcode >= _CLOSE and second & _LENGTH > _MAX_CONTROL_BYTES:
        raise _broken(f"a control frame may have {_MAX_CONTROL_BYTES} bytes")


def _check_length(length: int, least: int) -> None:
    """RFC 6455, section 5.2: the most significant bit is 0, and the shortest form MUST be used."""
    if length < least:
        raise _broken("a length is written in more bytes than it needs")
    if length >> 63:
        raise _broken("a length has its highest bit set")


def _control(opcode: int, payload: bytes) -> PingReceived | PongReceived | CloseReceived:
    if opcode == _PING:
        return PingReceived(payload)
    if opcode == _PONG:
        return PongReceived(payload)
    return _close(payload)


def _close(payload: bytes) -> CloseReceived:
    """Source: RFC 6455, sections 5.5.1 and 7.4."""
    if not payload:
        return CloseReceived(None, "")
    if len(payload) == 1:
        raise _broken("a close code has 2 bytes")
    code = int.from_bytes(payload[:2], "big")
    if not is_close_code(code):
        raise _broken(f"close code {code} may not be sent")
    try:
        return CloseReceived(code, payload[2:].decode())
    except UnicodeDecodeError as error:
        raise _not_utf8() from error


# ── one message ──────────────────────────────────────────────────────────────────────────────────────────


@define(eq=False)
class _Message:
    """A message of which something is still to come, and the frame of it that is being read.

    Its first `checked` bytes are UTF-8, if it is text; after them there are at most 3.
    """

    is_text: bool
    content: bytearray = field(factory=bytearray)
    checked: int = 0
    key: bytes = b""
    awaited: int = 0
    fragments: int = 0
    is_final: bool = False

    @property
    def is_complete(self) -> bool:
        return self.is_final and not self.awaited

    def begin(self, header: _Header) -> None:
        """A frame's payload follows."""
        self.key, self.awaited, self.is_final = header.key, header.length, header.is_final
        self.fragments += 1

    def take(self, data: bytes, at: int) -> int:
        """Add what `data` has of the frame from `at` on. Returns where that ends."""
        part = data[at : at + self.awaited]
        self.content += unmasked(part, self.key)
        self.key = turned(self.key, len(part))
        self.awaited -= len(part)
        return at + len(part)

    def check(self) -> None:
        """Raise ProtocolViolation if no continuation could make this UTF-8.

        CPython's decoder waits for the third byte of a surrogate, which the second has already ruled out.
        """
        fresh = self.content[self.checked :]
        try:
            known = utf_8_decode(fresh, "strict", False)[1]
        except UnicodeDecodeError as error:
            raise _not_utf8() from error
        if fresh[known : known + 1] == b"\xed" and fresh[known + 1 : known + 2] > b"\x9f":
            raise _not_utf8()
        self.checked += known

    def finished(self) -> str | bytes:
        """The message. Raises ProtocolViolation if it is text and no UTF-8."""
        if not self.is_text:
            return bytes(self.content)
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8() from error


def _broken(reason: str) -> ProtocolViolation:
    return ProtocolViolation(CLOSE_PROTOCOL_ERROR, reason)


def _not_utf8() -> ProtocolViolation:
    return ProtocolViolation(CLOSE_INVALID_TEXT, "text is not UTF-8")
