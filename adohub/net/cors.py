"""Which pages in browsers may talk to the hub, and the headers that tell their browsers so.

Without any allowed origin only pages of this very address may; "*" allows any. Programs name no origin and
are not asked. Browsers read the headers (the Fetch standard, section 3.2, "CORS protocol").
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adohub.net.head import Head, HeadRefused

METHODS = "GET, POST, OPTIONS"
"""What pages may send."""

REQUEST_HEADERS = "content-type, authorization, trpc-accept, trpc-batch-mode, last-event-id"
"""What a preflight that asks for nothing in particular is told that pages may send."""

MAX_AGE_S = 7200
"""How long a browser may remember a preflight's answer, in seconds; Chromium remembers none for longer."""

_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:, ?[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")


def check_origin(head: Head, allowed: tuple[str, ...]) -> None:
    """Raises HeadRefused if a browser says that a page of an origin that is not `allowed` is asking."""
    origin = head.headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed or _is_same(head, origin):
        return
    raise HeadRefused(403, f"pages of {origin[:200]} may not connect (see server.allowed_origins)")


def _is_same(head: Head, origin: str) -> bool:
    authority = origin.partition("://")[2]
    return authority != "" and authority == head.headers.get("host")


def cors_headers(head: Head, allowed: tuple[str, ...]) -> Mapping[str, str]:
    """What any response to `head` says to a browser. Raises HeadRefused like `check_origin`."""
    check_origin(head, allowed)
    if "*" in allowed:
        return {"access-control-allow-origin": "*"}
    if not allowed:
        return {}
    origin = head.headers.get("origin")
    if origin not in allowed:
        return {"vary": "origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "vary": "origin",
    }


def preflight_headers(head: Head) -> Mapping[str, str] | None:
    """What the answer to a preflight says besides; None if `head` is none."""
    if head.method != "OPTIONS" or "access-control-request-method" not in head.headers:
        return None
    wanted = head.headers.get("access-control-request-headers", "")
    return {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": wanted if _NAMES.fullmatch(wanted) else REQUEST_HEADERS,
        "access-control-max-age": str(MAX_AGE_S),
        "vary": "access-control-request-headers",
    }
