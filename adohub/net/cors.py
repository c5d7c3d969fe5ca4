"""Which pages in browsers may talk to the hub, and the headers that tell their browsers so.

Without any allowed origin only pages of this very address may; "*" allows any. Programs name no origin and
are not asked. Browsers read the headers (the Fetch standard, section 3.2, "CORS protocol").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from attrs import field, frozen

from adohub.net.head import Head, HeadRefused
from adohub.net.listener import is_address

METHODS = "GET, POST, OPTIONS"
"""What pages may send."""

REQUEST_HEADERS = "content-type, authorization, trpc-accept, trpc-batch-mode, last-event-id"
"""What a preflight that asks for nothing in particular is told that pages may send."""

MAX_AGE_S = 7200
"""How long a browser may remember a preflight's answer, in seconds; Chromium remembers none for longer."""

_PORT = re.compile(r":[0-9]*$")
_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:, ?[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")


@frozen
class Origins:
    """Who may talk to the hub from a browser: pages of the `allowed` origins, "*" for all, and its own.

    `is_open`: whoever can connect may do everything. Then a name that somebody else has made to mean this
    machine (DNS rebinding) must not make their page the hub's own, so hosts are looked at, too.
    """

    allowed: Sequence[str]
    is_open: bool = False
    _hosts: frozenset[str | None] = field(init=False, repr=False)

    @_hosts.default
    def _(self) -> frozenset[str | None]:
        return frozenset(urlsplit(origin).hostname for origin in self.allowed)

    def check(self, head: Head) -> None:
        """Raises HeadRefused if a page that may not is asking, or one that may be anybody's."""
        origin = head.headers.get("origin")
        if not (origin is None or self._is_allowed(origin) or _is_same(head, origin)):
            raise HeadRefused(403, f"pages of {origin[:200]} may not connect (see server.allowed_origins)")
        self.check_host(head)

    def check_host(self, head: Head) -> None:
        """Raises HeadRefused if the hub is open and `head` asks for it by a name that may be anybody's."""
        host = head.headers.get("host", "")
        if self.is_open and "*" not in self.allowed and not self._is_ours(host):
            raise HeadRefused(
                403,
                f"{host[:200]} may be anybody's name: a hub without tokens answers to localhost, addresses"
                " and the hosts in server.allowed_origins",
            )

    def headers(self, head: Head) -> Mapping[str, str]:
        """What any response to `head` says to a browser. Raises HeadRefused like `check`."""
        self.check(head)
        if "*" in self.allowed:
            return {"access-control-allow-origin": "*"}
        if not self.allowed:
            return {}
        origin = head.headers.get("origin", "")
        if origin not in self.allowed:
            return {"vary": "origin"}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "vary": "origin",
        }

    def _is_allowed(self, origin: str) -> bool:
        return "*" in self.allowed or origin in self.allowed

    def _is_ours(self, host: str) -> bool:
        """Whether no stranger can have the name: an address, one without a dot, or one that is allowed."""
        name = _PORT.sub("", host).lower()
        if "." not in name or name.endswith(".localhost") or name in self._hosts:
            return True
        return is_address(name)


def _is_same(head: Head, origin: str) -> bool:
    authority = origin.partition("://")[2]
    return authority != "" and authority == head.headers.get("host")


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
