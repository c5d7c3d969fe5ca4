"""The head of an HTTP request, which is how every connection begins: read once, then it is decided."""

from __future__ import annotations

import base64
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
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    raw = b""
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            raise HeadRefused(error.error_status_hint, "this is no HTTP request that can be read") from error
        if isinstance(event, h11.Request):
            rest = parser.trailing_data[0]
            if len(raw) - len(rest) > MAX_HEAD_BYTES:
                raise HeadRefused(431, f"the request's head is longer than {MAX_HEAD_BYTES} bytes")
            return _head(event, raw, rest)
        if event is not h11.NEED_DATA:
            return None
        data = await outbox.receive_some()
        raw += data
        parser.receive_data(data)


def _head(request: h11.Request, raw: bytes, rest: bytes) -> Head:
    try:
        target = urlsplit(request.target.decode("ascii", "replace"))
    except ValueError as error:
        raise HeadRefused(400, "the request's target is no URL") from error
    query = {name: values[-1] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
    return Head(request.method.decode("ascii"), target.path or "/", query, headers, raw, rest)


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
