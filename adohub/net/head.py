"""The head of an HTTP request: read once and strictly, so that nobody else can read it differently.

h11 reads it, but what h11 lets pass and proxies disagree about is refused first: lines that end without
CR LF, folded lines, repeated lengths, a length beside a transfer coding. A plain one is read without h11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

import h11
from attrs import frozen

from adohub.net.listener import Peer
from adohub.net.outbox import Outbox
from adohub.wire.decode import DEFAULT_LIMITS


class HeadRefused(Exception):
    """This request cannot be answered as it asks; `status` says how it is refused.

    `limit` is the key of the limit that the peer has met, if that is why.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, *, limit: str = ""
    ) -> None:
        self.limit = limit
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(message)


@frozen
class Head:
    """One request's head. Header names are lower case; the values of a repeated header are joined by `, `.

    `path` is as it was sent, percent-encoded; `*` is that of `OPTIONS *`. `version` is "1.0" or "1.1".
    `content_length` is in bytes, and 0 for a chunked body. `rest` is what came behind the head by then.
    """

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    version: str
    content_length: int = 0
    is_chunked: bool = False
    rest: bytes = b""

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The parameters in the query, decoded; of a repeated one the last value counts."""
        return {name: values[-1] for name, values in parse_qs(self.raw_query, keep_blank_values=True).items()}

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.is_chunked or self.content_length > 0

    @property
    def keeps_alive(self) -> bool:
        """Whether the peer wants to send another request on this connection (RFC 9112, section 9.3)."""
        connection = self.headers.get("connection")
        if connection is None:
            return self.version == "1.1"
        options = tokens(connection)
        return "close" not in options and (self.version == "1.1" or "keep-alive" in options)

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return "websocket" in tokens(self.headers.get("upgrade", ""))

    @property
    def token(self) -> str | None:
        """The credential in it: `Authorization: Bearer`, else `?token=`."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else self.query.get("token")


def tokens(value: str) -> set[str]:
    """The comma-separated tokens of a header's value, in lower case."""
    return {token.strip().lower() for token in value.split(",")}


def credentials(head: Head, peer: Peer) -> Mapping[str, Any]:
    """What a request and its connection show an authenticator (`adohub.Credentials`)."""
    shown: dict[str, Any] = {"headers": head.headers, "address": peer.address}
    if head.token is not None:
        shown["token"] = head.token
    if peer.uid is not None:
        shown["uid"] = peer.uid
        shown["gids"] = peer.gids
    return shown


# ── plain heads ──────────────────────────────────────────────────────────────────────────────────────────

_REQUEST_LINE = re.compile(rb"(GET|POST) (/[!\"$-~]*) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([ \t!-~]*)")


def plain_head(raw: bytes, most: int = DEFAULT_LIMITS.max_head_bytes) -> Head | None:
    """The head of the plain GET or POST that `raw` begins with, just as `parsed` reads it.

    None if it is not all there or has anything to it that h11 should judge. Measured reason: thousands of
    clients that come back at once after a restart all begin with such a one, and h11 takes 50 µs for it.
    A head may have `most` bytes.
    """
    first, end, rest = raw.partition(b"\r\n\r\n")
    if not end or len(first) + len(end) > most:
        return None
    request_line, *lines = first.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(request_line)
    if request is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None or (len(line) > _LONG and _LONG_BLANK.search(line)):
            return None
        name = header[1].decode("ascii").lower()
        if name in headers:
            return None
        headers[name] = header[2].strip(b" \t").decode("ascii")
    if "host" not in headers or "transfer-encoding" in headers:
        return None
    path, _, raw_query = request[2].decode("ascii").partition("?")
    length = _length(headers) if "content-length" in headers else 0
    return Head(request[1].decode("ascii"), path, raw_query, headers, "1.1", length, rest=rest)


# ── any heads ────────────────────────────────────────────────────────────────────────────────────────────

_NOT_ALLOWED = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
"""Control characters, and half a line's end."""

_FOLD = re.compile(rb"\r\n[ \t]")
_LONG = 256
_LONG_BLANK = re.compile(rb"[ \t]{%d}" % _LONG)
"""More blanks in a row than anybody needs: h11 takes time for them that grows with their square."""

_LENGTHS = re.compile(rb"\r\ncontent-length:([^\r]*)", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")
_ABSOLUTE = re.compile(r"https?://([^/?]+)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE)


async def read_head(outbox: Outbox, raw: bytes, most: int = DEFAULT_LIMITS.max_head_bytes) -> Head | None:
    """The head that begins with `raw` and has at most `most` bytes; None if the peer leaves.

    Raises HeadRefused.
    """
    begun, seen = bytearray(raw), 0
    while begun.find(b"\r\n\r\n", max(0, seen - 3)) < 0:
        _check_begun(begun, most, seen)
        seen = len(begun)
        data = await outbox.receive_some()
        if not data:
            return None
        begun += data
    raw = bytes(begun)
    return plain_head(raw, most) or parsed(raw, most)


def _check_begun(raw: bytes | bytearray, most: int, seen: int = 0) -> None:
    """Raises HeadRefused as soon as more bytes could not make it right. `seen` of them have been checked.

    Whoever sends a long head byte by byte must not have it read from its beginning each time.
    """
    if _NOT_ALLOWED.search(raw, max(0, seen - 1), most):
        raise HeadRefused(400, "this is no HTTP request that can be read")
    if len(raw) > most:
        raise HeadRefused(431, f"the request's head is longer than {most} bytes", limit="max_head_bytes")


def parsed(raw: bytes, most: int = DEFAULT_LIMITS.max_head_bytes) -> Head:
    """The head that `raw` holds whole, read by h11. Raises HeadRefused for what is not in order."""
    first, end, rest = raw.partition(b"\r\n\r\n")
    _check_begun(first + end, most)
    if _FOLD.search(first):
        raise HeadRefused(400, "the request's head has a folded line")
    if _LONG_BLANK.search(first):
        raise HeadRefused(400, "the request's head has more blanks in a row than can be read")
    lengths = _LENGTHS.findall(first)
    if len(lengths) > 1 or b"," in b"".join(lengths):
        raise HeadRefused(400, "the request has more than one Content-Length")
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=most)
    parser.receive_data(first + end)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        status = 501 if error.error_status_hint == 501 else 400
        raise HeadRefused(status, "this is no HTTP request that can be read") from error
    assert isinstance(event, h11.Request)
    version = event.http_version.decode("ascii")
    if version not in ("1.0", "1.1"):
        raise HeadRefused(400, "this server speaks HTTP 1.1 and 1.0")
    headers = _joined(event.headers)
    path, raw_query = _target(event.method, event.target.decode("ascii"), headers)
    is_chunked = "transfer-encoding" in headers
    length = _length(headers) if "content-length" in headers else 0
    if is_chunked and ("content-length" in headers or version == "1.0"):
        raise HeadRefused(400, "the request's body has no certain length")
    method = event.method.decode("ascii")
    return Head(method, path, raw_query, headers, version, length, is_chunked, rest)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _length(headers: Mapping[str, str]) -> int:
    value = headers["content-length"]
    if not _LENGTH.fullmatch(value):
        raise HeadRefused(400, "the Content-Length is no number of bytes")
    return int(value)


def _target(method: bytes, target: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """Path and query of a request's target: what RFC 9112, section 3.2, calls its forms."""
    if "#" in target:
        raise HeadRefused(400, "the request's target has a fragment")
    if target.startswith("/"):
        path, _, raw_query = target.partition("?")
        return path, raw_query
    if target == "*" and method == b"OPTIONS":
        return target, ""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise HeadRefused(400, "the request's target is neither a path nor an address")
    if absolute[1].lower() != headers.get("host", absolute[1]).lower():
        raise HeadRefused(400, "the request's target is at another host than its Host says")
    return absolute[2] or "/", absolute[3] or ""
