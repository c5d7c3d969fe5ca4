"""tRPC over HTTP: queries and mutations, alone or in batches, and subscriptions as event streams.

A subscription is refused by an event in its stream: a status other than 200 ends it for good without telling
the application why. Only a credential that HTTP itself carries is refused by HTTP's own 401.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import randint

import trio
from attrs import evolve

from adohub.config import Limits
from adohub.errors import ErrorCode, PeerError
from adohub.hub.admission import Admission
from adohub.hub.attendance import Attendance
from adohub.hub.authentication import Authentication
from adohub.hub.journal import Resumption
from adohub.model import Principal
from adohub.net.calls import HEADERS, JSON, answer_in_lines, answer_whole
from adohub.net.dispatch import Dispatch
from adohub.net.exchange import Exchange
from adohub.net.expiry import Expiry
from adohub.net.head import HeadRefused, credentials
from adohub.net.keepalive import Keepalive
from adohub.net.strangers import Strangers
from adohub.net.stream import STREAM, EventStream
from adohub.wire import sse
from adohub.wire.codes import CODES
from adohub.wire.dialects import Choice, Dialects
from adohub.wire.http import Letter, check_content, plain_path, read, read_params
from adohub.wire.jsonl import V10Lines, whole_refusal
from adohub.wire.messages import Failure, Request

PREFIX = "/trpc"

RETRY_MS = (1000, 3000)
"""When an EventSource may come back after its connection has ended, in milliseconds: not all at one time."""

_BODY_FAULTS: Mapping[int, ErrorCode] = {408: "TIMEOUT", 413: "PAYLOAD_TOO_LARGE"}
"""By status, what is wrong with a body in tRPC's words; otherwise it is a bad request."""


class Trpc:
    """Answers what is asked below /trpc (`adohub.net.web.Answers`).

    `max_body_bytes`: how long a request's body may be, in bytes.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        authentication: Authentication,
        keepalive: Keepalive,
        choice: Choice,
        limits: Limits,
        expiry: Expiry,
        strangers: Strangers,
        *,
        max_body_bytes: int,
    ) -> None:
        self._limits = limits
        self._expiry = expiry
        self._strangers = strangers
        self._dispatch = dispatch
        self._authentication = authentication
        self._keepalive = keepalive
        self._choice = choice
        self._max_body_bytes = max_body_bytes
        self._streams: dict[EventStream, None] = {}

    def subscriptions(self) -> Counter[str]:
        """How many event streams are open now, by path."""
        return Counter(stream.path for stream in self._streams)

    async def answer(self, exchange: Exchange) -> None:
        """See `Answers`."""
        head = exchange.head
        if head.method == "HEAD":
            exchange.respond(204)
            return
        path = head.path.removeprefix(PREFIX).removeprefix("/")
        letter = Letter(head.method, path, head.query, head.headers)
        dialects = self._choice.standard
        try:
            dialects = self._choice.by(head.query)
            await self._answer(exchange, letter, dialects)
        except trio.BrokenResourceError:
            raise
        except Exception as error:
            if exchange.is_begun:
                raise
            self._refuse(exchange, letter, dialects, self._told(error, head.path))

    async def _answer(self, exchange: Exchange, letter: Letter, dialects: Dialects) -> None:
        check_content(letter)
        if exchange.excess is not None:
            raise exchange.excess
        principal = await self._identify(exchange, read_params(letter))
        if letter.method != "GET":
            letter = evolve(letter, body=await exchange.body(self._max_body_bytes))
            self._authentication.check_expiry(principal)
        asked = read(letter, self._dispatch.kind_of, self._limits)
        self._dispatch.metrics.messages_in += len(asked.calls)
        if asked.subscription is not None:
            await self._stream(exchange, asked.subscription, principal, dialects)
            return
        dispatch, caller, bodies = self._dispatch, self._dispatch.caller(principal), dialects.bodies
        if asked.form in ("single", "batch"):
            await answer_whole(exchange, asked, dispatch, caller, bodies)
        else:
            lines = dialects.lines if asked.form == "jsonl" else V10Lines(bodies)
            await answer_in_lines(exchange, asked, dispatch, caller, bodies, lines)

    async def _identify(self, exchange: Exchange, params: Mapping[str, str] | None) -> Principal:
        """Who asks: HTTP's own credential counts, else that of the connection params."""
        shown = dict(credentials(exchange.head, exchange.peer))
        if params is not None and not shown.get("token"):
            shown["params"] = params
            if "token" in params:
                shown["token"] = params["token"]
        with trio.move_on_at(exchange.deadline) as scope:
            self._strangers.add(scope.cancel)
            try:
                return await self._authentication.identify(shown)
            finally:
                self._strangers.remove(scope.cancel)
        raise PeerError("SERVICE_UNAVAILABLE", "it takes too long to find out who asks; try again")

    # ── event streams ────────────────────────────────────────────────────────────────────────────────

    async def _stream(
        self, exchange: Exchange, request: Request, principal: Principal, dialects: Dialects
    ) -> None:
        if not exchange.may_stay:
            raise PeerError("SERVICE_UNAVAILABLE", "the hub is about to restart; try again")
        dialect = dialects.events
        request = request._replace(tag=STREAM)
        admission, resumption = self._dispatch.admit(request, principal, dialect)
        inactivity_ms = self._keepalive.silence_ms if admission.interest.view.tracked else None
        stream = EventStream(exchange.outbox, self._dispatch, dialect, request.path, inactivity_ms)
        attendance = self._dispatch.attendance(admission, stream)
        try:
            if attendance is not None:
                await attendance.arrive()
            recovered = resumption.recovered if resumption else None
            self._begin_stream(exchange, sse.connected(recovered=recovered, inactivity_ms=inactivity_ms))
            self._expiry.watch(stream, principal.expires_at)
            await self._run(exchange, stream, admission, resumption, attendance)
        finally:
            if attendance is not None:
                attendance.leave()

    async def _run(
        self,
        exchange: Exchange,
        stream: EventStream,
        admission: Admission,
        resumption: Resumption | None,
        attendance: Attendance | None,
    ) -> None:
        exchange.on_leave = stream.interrupt
        self._streams[stream] = None
        self._keepalive.accompany(stream)
        try:
            await stream.run(admission, resumption, attendance)
        finally:
            self._keepalive.part(stream)
            self._expiry.forget(stream)
            del self._streams[stream]

    def _begin_stream(self, exchange: Exchange, first: bytes) -> None:
        self._dispatch.metrics.messages_out += 1
        exchange.begin_endless(200, sse.CONTENT_TYPE, HEADERS | sse.HEADERS)
        exchange.outbox.send(sse.retry(randint(*RETRY_MS)) + first)

    # ── refusals ─────────────────────────────────────────────────────────────────────────────────────

    def _told(self, error: Exception, where: str) -> PeerError:
        """`error` in words for the peer."""
        if isinstance(error, HeadRefused):
            self._dispatch.metrics.hit(error.limit)
            return PeerError(_BODY_FAULTS.get(error.status, "BAD_REQUEST"), error.message)
        return self._dispatch.refusal(error, where)

    def _refuse(self, exchange: Exchange, letter: Letter, dialects: Dialects, error: PeerError) -> None:
        """Refuse all that was asked."""
        self._dispatch.metrics.errors += 1
        in_stream = letter.method == "GET" and self._dispatch.kind_of(plain_path(letter)) == "subscription"
        by_http = error.code == "UNAUTHORIZED" and "connectionParams" not in letter.query
        if in_stream and not by_http:
            failure = Failure(STREAM, error.code, error.message, plain_path(letter), error.data)
            self._begin_stream(exchange, sse.connected() + dialects.events.message(failure))
            return
        http_status = CODES[error.code].http_status
        headers = dict(HEADERS)
        if http_status == 401:
            headers["www-authenticate"] = "Bearer"
        elif http_status == 503:
            headers["retry-after"] = "1"
        failure = Failure(STREAM, error.code, error.message, None, error.data)
        exchange.respond(http_status, whole_refusal(letter, failure, dialects.bodies), JSON, headers)
