"""The head of an HTTP request, which is how every connection begins: read once, then it is decided."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import h11
from attrs import frozen

from adohub.net.outbox import Outbox

MAX_HEAD_BYTES = 16384
"""The longest request head, in bytes; a longer one gets 431."""


class HeadRefused(Exception):
    """This request cannot be answered as it asks; `status` says how it is refused."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(message)


@frozen
class Head:
    """One request's head. Header names are lower case; of a repeated header the last value counts.

    `raw` is everything read so far; `rest` is the part of it that came after the head.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    rest: bytes = b""

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def token(self) -> str | None:
        """The credential in it: `Authorization: Bearer`, else `?token=`."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else self.query.get("token")


async def read_head(outbox: Outbox) -> Head | None:
    """The next request's head, or None if the peer left first. Raises HeadRefused for what is no HTTP."""
    raw = await outbox.receive_some()
    head = plain_head(raw)
    return head if head is not None else await _read_any_head(outbox, raw)


async def _read_any_head(outbox: Outbox, raw: bytes) -> Head | None:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    parser.receive_data(raw)
    while True:
        if _LONG_BLANK.search(raw.partition(b"\r\n\r\n")[0][:MAX_HEAD_BYTES]):
            raise HeadRefused(400, "the request's head has more blanks in a row than can be read")
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            raise HeadRefused(error.error_status_hint, "this is no HTTP request that can be read") from error
        if isinstance(event, h11.Request):
            rest = parser.trailing_data[0]
            if len(raw) - len(rest) > MAX_HEAD_BYTES:
                raise HeadRefused(431, f"the request's head is longer than {MAX_HEAD_BYTES} bytes")
            headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
            return _head(event.method.decode("ascii"), event.target, headers, raw, rest)
        if event is not h11.NEED_DATA:
            return None
        data = await outbox.receive_some()
        raw += data
        parser.receive_data(data)


_REQUEST_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([ \t!-~]*)")
_LONG_BLANK = re.compile(rb"[ \t]{256}")
"""More blanks in a row than anybody needs: h11 takes time for them that grows with their square."""

_LEFT_TO_H11 = frozenset(("content-length", "transfer-encoding"))


def plain_head(raw: bytes) -> Head | None:
    """The head of the plain GET that `raw` begins with, just as h11 reads it.

    None if it is not all there or has anything to it that h11 should judge. Measured reason: thousands of
    clients that come back at once after a restart all begin with such a one, and h11 takes 50 µs for it.
    """
    first, end, rest = raw.partition(b"\r\n\r\n")
    if not end or len(first) + len(end) > MAX_HEAD_BYTES:
        return None
    request_line, *lines = first.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(request_line)
    if request is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name = header[1].decode("ascii").lower()
        if name in _LEFT_TO_H11 or (name == "host" and name in headers):
            return None
        headers[name] = header[2].strip(b" \t").decode("ascii")
    return _head("GET", request[1], headers, raw, rest) if "host" in headers else None


def _head(method: str, target: bytes, headers: Mapping[str, str], raw: bytes, rest: bytes) -> Head:
    try:
        url = urlsplit(target.decode("ascii", "replace"))
    except ValueError as error:
        raise HeadRefused(400, "the request's target is no URL") from error
    query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return Head(method, url.path or "/", query, headers, raw, rest)


def check_upgrade(head: Head) -> None:
    """Raises HeadRefused unless `head` is a WebSocket handshake by RFC 6455, section 4.2.1."""
    if head.method != "GET":
        raise HeadRefused(405, "a WebSocket handshake is a GET", {"allow": "GET"})
    connection = {token.strip().lower() for token in head.headers.get("connection", "").split(",")}
    if "upgrade" not in connection:
        raise HeadRefused(400, "the Connection header does not say Upgrade")
    if head.headers.get("sec-websocket-version") != "13":
        raise HeadRefused(426, "this server speaks WebSocket version 13", {"sec-websocket-version": "13"})
    if not _is_key(head.headers.get("sec-websocket-key", "")):
        raise HeadRefused(400, "Sec-WebSocket-Key is not the base64 of 16 bytes")
    if head.headers.get("content-length", "0") != "0" or "transfer-encoding" in head.headers:
        raise HeadRefused(400, "a WebSocket handshake has no body")
    if head.rest:  # RFC 6455, section 4.1: the client waits; what it sends before would be lost in the host
        raise HeadRefused(400, "no frame may be sent before the handshake is answered")


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except ValueError:
        return False


def websocket_key(head: Head) -> str:
    """What the upgrade asked for in `head` must be answered with, as `check_upgrade` has passed it."""
    return head.headers["sec-websocket-key"]


def plain_upgrade(key: str) -> bytes:
    """A handshake with this `Sec-WebSocket-Key`, reduced to what its answer depends on.

    A host is given this instead of the peer's own words, of which it might not like some.
    """
    return (
        b"GET / HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key.strip().encode("ascii") + b"\r\n\r\n"
    )


def check_origin(head: Head, allowed: tuple[str, ...]) -> None:
    """Raises HeadRefused if a browser says that a page of another origin is asking.

    Without any `allowed` origin only pages of this very address may; "*" allows any. Programs send none.
    """
    origin = head.headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return
    if origin.partition("://")[2] != head.headers.get("host"):
        raise HeadRefused(403, f"pages of {origin[:200]} may not connect (see server.allowed_origins)")
