"""A WebSocket handshake: whether a request's head is one that is in order (RFC 6455, section 4.2.1)."""

from __future__ import annotations

import base64

from adohub.net.head import Head, HeadRefused, tokens


def check_upgrade(head: Head) -> None:
    """Raises HeadRefused unless `head` is a WebSocket handshake by RFC 6455, section 4.2.1."""
    if head.method != "GET":
        raise HeadRefused(405, "a WebSocket handshake is a GET", {"allow": "GET"})
    if head.version != "1.1":
        raise HeadRefused(400, "a WebSocket handshake is made by HTTP 1.1")
    if "upgrade" not in tokens(head.headers.get("connection", "")):
        raise HeadRefused(400, "the Connection header does not say Upgrade")
    if head.headers.get("sec-websocket-version") != "13":
        raise HeadRefused(426, "this server speaks WebSocket version 13", {"sec-websocket-version": "13"})
    if not _is_key(head.headers.get("sec-websocket-key", "")):
        raise HeadRefused(400, "Sec-WebSocket-Key is not the base64 of 16 bytes")
    if head.has_body:
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
