"""One HTTP request and its one response, which says whether the connection goes on after it.

It goes on if the peer wants that, its request has been read to the end with nothing behind it, and the hub
has room: a request that came before its predecessor was answered is not acted upon.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping

import trio

from adohub.errors import OverLimit
from adohub.net.body import check_length, read_body
from adohub.net.head import Head, HeadRefused
from adohub.net.listener import Peer
from adohub.net.outbox import Outbox
from adohub.net.response import response_head

STALL_S = 30.0
"""How long a peer may take nothing of a response, in seconds; then the connection ends."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_BODILESS = (204, 304)
_TEXT = "text/plain; charset=utf-8"


class Exchange:
    """One request, and the way to answer it: `respond`, or `begin`, `write` and `end`, or `begin_endless`.

    `deadline`: when the request has to be whole, on trio's clock. `may_stay`: whether the hub lets it go on.
    `excess`: why it is one connection too many, if it is.
    """

    __slots__ = (
        "_is_bodiless",
        "_is_body_due",
        "_is_chunked",
        "_is_ended",
        "_may_stay",
        "_rest",
        "_stays",
        "deadline",
        "excess",
        "head",
        "headers",
        "is_begun",
        "on_leave",
        "outbox",
        "peer",
    )

    def __init__(
        self,
        outbox: Outbox,
        head: Head,
        peer: Peer,
        *,
        deadline: float,
        may_stay: Callable[[], bool],
        excess: OverLimit | None = None,
    ) -> None:
        self.outbox = outbox
        self.head = head
        self.peer = peer
        self.excess = excess
        self.headers: dict[str, str] = {}
        """Headers of any response to this request, by lower-case name."""
        self.on_leave: Callable[[], None] | None = None
        """Called when the hub begins to drain, which waits for this exchange to end."""
        self.is_begun = False
        """Whether the response's head has been written."""
        self.deadline = deadline
        self._may_stay = may_stay
        self._rest = head.rest
        self._is_body_due = head.has_body
        self._is_chunked = False
        self._is_bodiless = False
        self._is_ended = False
        self._stays = False

    @property
    def may_stay(self) -> bool:
        """Whether the hub has room and time for what lasts."""
        return self._may_stay()

    # ── the request ──────────────────────────────────────────────────────────────────────────────────

    async def body(self, limit_bytes: int) -> bytes:
        """The request's body; to be asked for once.

        Raises HeadRefused: 413 for a body that is longer, at once if its length is told; 400 for one that is
        malformed or ends early, 408 for one that does not come in time, 417 for an Expect that is not known.
        Raises trio.BrokenResourceError when the peer is gone.
        """
        if not self._is_body_due:
            return b""
        head = self.head
        check_length(head.content_length, limit_bytes)
        self._meet_expectation()
        with trio.move_on_at(self.deadline):
            body, self._rest = await read_body(self.outbox, head, limit_bytes)
            self._is_body_due = False
            return body
        raise HeadRefused(408, "the request did not come whole in time", limit="handshake_timeout_ms")

    def _meet_expectation(self) -> None:
        """RFC 9110, section 10.1.1. Who has begun to send need not be told to."""
        expected = self.head.headers.get("expect")
        if expected is None or self.head.version == "1.0":
            return
        if expected.lower() != "100-continue":
            raise HeadRefused(417, "the only thing to expect is 100-continue")
        if not self._rest:
            self.outbox.send(_CONTINUE)

    # ── the response ─────────────────────────────────────────────────────────────────────────────────

    def respond(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = _TEXT,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with this whole response; to a HEAD, with its head. Raises ValueError like `begin`."""
        length = "" if status in _BODILESS else f"content-length: {len(body)}\r\n"
        sent = body if self._has_body(status) else b""
        self._begin(status, content_type, headers, length, sent, stays=self._can_stay())
        self._is_ended = True

    def refuse(self, refusal: HeadRefused) -> None:
        """Answer with one JSON object that holds the reason."""
        self.respond(refusal.status, reason(refusal), "application/json", refusal.headers)

    def begin(self, status: int, content_type: str = _TEXT, headers: Mapping[str, str] | None = None) -> None:
        """Begin a response whose length is not known.

        Raises ValueError for a header that no response may have (`response_head`); nothing has been written
        then.
        """
        has_body = self._has_body(status)
        is_chunked = has_body and self.head.version == "1.1"
        framing = "transfer-encoding: chunked\r\n" if is_chunked else ""
        stays = (is_chunked or not has_body) and self._can_stay()
        self._begin(status, content_type, headers, framing, b"", stays=stays)
        self._is_bodiless, self._is_chunked = not has_body, is_chunked

    async def write(self, data: bytes) -> None:
        """Send more of the body, and wait until there is room for more.

        Raises trio.BrokenResourceError when the peer is gone, or takes nothing for STALL_S.
        """
        if self.outbox.is_gone:
            raise trio.BrokenResourceError("the peer is gone")
        if not data or self._is_bodiless:
            return
        self.outbox.send(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        if self.outbox.is_crowded:
            await self._passed_on(self.outbox.room)

    def end(self) -> None:
        """The body that was begun is whole."""
        if self._is_chunked:
            self.outbox.send(_LAST_CHUNK)
        self._is_ended = True

    def begin_endless(self, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Begin a response that ends with the connection; its body is put into the outbox.

        Raises ValueError like `begin`. A HEAD is answered by that.
        """
        self._begin(status, content_type, headers, "", b"", stays=False)
        self._is_ended = True

    async def passed_on(self) -> bool:
        """Wait until the peer has taken of the response what it must before the next request is read.

        Gives whether there may be a next one. Raises trio.BrokenResourceError like `write`.
        """
        stays = self._stays and self._is_ended
        if not stays:
            await self._passed_on(self.outbox.drained)
        elif self.outbox.is_crowded:
            await self._passed_on(self.outbox.room)
        return stays

    async def _passed_on(self, wait: Callable[[], Awaitable[None]]) -> None:
        outbox = self.outbox
        while True:
            queued = outbox.queued
            with trio.move_on_after(STALL_S) as limit:
                await wait()
            if outbox.is_gone:
                raise trio.BrokenResourceError("the peer is gone")
            if not limit.cancelled_caught:
                return
            if outbox.queued >= queued:
                outbox.abort()
                raise trio.BrokenResourceError("the peer takes nothing")

    def _has_body(self, status: int) -> bool:
        return self.head.method != "HEAD" and status not in _BODILESS

    def _can_stay(self) -> bool:
        if self._is_body_due and not self.head.is_chunked and len(self._rest) >= self.head.content_length:
            self._rest = self._rest[self.head.content_length :]
            self._is_body_due = False
        is_last = self._is_body_due or self._rest
        return not is_last and self.head.keeps_alive and self._may_stay()

    def _begin(
        self,
        status: int,
        content_type: str,
        headers: Mapping[str, str] | None,
        framing: str,
        body: bytes,
        *,
        stays: bool,
    ) -> None:
        assert not self.is_begun, "a request has one response"
        if not stays:
            framing += "connection: close\r\n"
        elif self.head.version == "1.0":
            framing += "connection: keep-alive\r\n"
        written = response_head(status, self._headers(status, content_type, headers or {}), framing) + body
        self.outbox.send(written)
        self.is_begun = True
        self._stays = stays

    def _headers(self, status: int, content_type: str, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        merged = {} if status in _BODILESS else {"content-type": content_type}
        merged |= self.headers
        for name, value in given.items():
            lower = name.lower()
            is_list = lower == "vary" and lower in merged
            merged[lower] = f"{merged[lower]}, {value}" if is_list else value
        yield from merged.items()


def reason(refusal: HeadRefused) -> bytes:
    """A refusal as a response's body."""
    return json.dumps({"error": {"message": refusal.message}}).encode()


def refused(refusal: HeadRefused) -> bytes:
    """A refusal as the bytes of a connection's last response, for what has not become an exchange."""
    body = reason(refusal)
    headers = {"content-type": "application/json", **refusal.headers}
    framing = f"content-length: {len(body)}\r\nconnection: close\r\n"
    return response_head(refusal.status, headers.items(), framing) + body
