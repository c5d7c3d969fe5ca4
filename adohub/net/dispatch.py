"""One request, one reply or one cursor. The ONLY place where an exception becomes a tRPC error."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any

import attrs
import structlog

from adohub.errors import Goodbye, OverLimit, PeerError, StorageError
from adohub.hub.admission import Admission, entrances
from adohub.hub.attendance import Attendance
from adohub.hub.cursor import Cursor, Subscriber, gap_refusal
from adohub.hub.journal import Journal, Resumption
from adohub.hub.policy import Policy
from adohub.hub.presence import Registrar
from adohub.hub.replays import Replays
from adohub.hub.routes import Routes
from adohub.model import Principal
from adohub.plugin.contracts import Call, Hub, Pending, Procedure, WholeEvent
from adohub.plugin.registry import Registry
from adohub.structuring import Marks, StructureError, Varying, wire
from adohub.wire.dialect import Dialect, Values
from adohub.wire.encode import encode
from adohub.wire.messages import ABSENT, Data, Failure, ProcedureKind, Request, Tag

CLOSE_TRY_AGAIN = 1013

_InputReader = Callable[[Any], Any]

Caller = Call
"""Who calls, as a procedure is told; made once for each connection."""

Opened = Cursor | Attendance
"""A subscription that has begun, or is about to, as its connection holds it."""

Reply = Callable[["Data | Failure"], None]
"""Takes an answer."""

_log = structlog.get_logger("adohub.dispatch")


class Dispatch:
    """Runs procedures and opens cursors for any connection."""

    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        journal: Journal,
        replays: Replays,
        routes: Routes,
        policy: Policy,
        registrars: Mapping[str, Registrar] | None = None,
    ) -> None:
        self._hub = hub
        self._journal = journal
        self.metrics = journal.metrics
        self._replays = replays
        self._routes = routes
        self._policy = policy
        self._registrars = registrars or {}
        topics = registry.payload_marks()
        self._procedures = {
            path: (one, _input_reader(one), _output_marks(one, topics))
            for path, one in registry.procedures.items()
        }
        self._entrances = entrances(registry.subscriptions)

    def kind_of(self, path: str) -> ProcedureKind | None:
        """What kind of procedure is at `path`, if there is one."""
        if path in self._entrances:
            return "subscription"
        found = self._procedures.get(path)
        return None if found is None else found[0].kind

    # ── queries and mutations ────────────────────────────────────────────────────────────────────────

    def caller(self, principal: Principal) -> Caller:
        """Who `call` is told is calling."""
        return Caller(principal, self._hub)

    def call(self, request: Request, caller: Caller, values: Values, reply: Reply) -> Awaitable[None] | None:
        """Run a query or mutation; `reply` gets the answer, its body as `values` writes it, at once or later.

        Whatever the procedure does before its first await has been done when this returns, so that calls
        made in order begin in order. If something is returned, it is to be awaited in a task.
        """
        try:
            procedure, structure, marks = self._procedure(request)
            given = None if structure is None else values.read(request.input)
            if structure is not None:
                given = structure({} if given is ABSENT or given is None else given)
            result = procedure.run(given, caller)
        except Exception as error:  # noqa: BLE001 - whatever a procedure raises has one answer
            reply(self._failure(request, error))
            return None
        if isinstance(result, Pending):
            result.when_done(lambda: reply(self._answer(request, values, marks, result.result)))
            return None
        if result.__class__ is not dict and isawaitable(result):
            return self._finish(request, values, marks, result, reply)
        reply(self._answer(request, values, marks, lambda: result))
        return None

    async def _finish(
        self,
        request: Request,
        values: Values,
        marks: Marks | None,
        result: Awaitable[Any],
        reply: Reply,
    ) -> None:
        try:
            value = await result
        except Exception as error:  # noqa: BLE001 - as above
            reply(self._failure(request, error))
        else:
            reply(self._answer(request, values, marks, lambda: value))

    def _answer(
        self, request: Request, values: Values, marks: Marks | None, result: Callable[[], Any]
    ) -> Data | Failure:
        try:
            body = values.value(wire_form(result()), marks)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(request, error)
        return Data(request.tag, body)

    def _procedure(self, request: Request) -> tuple[Procedure, _InputReader | None, Marks | None]:
        found = self._procedures.get(request.path)
        if found is None or found[0].kind != request.kind:
            raise not_found(request)
        return found

    def _failure(self, request: Request, error: Exception) -> Failure:
        self.metrics.errors += 1
        refusal = self.refusal(error, request.path)
        return Failure(request.tag, refusal.code, refusal.message, request.path, refusal.data)

    # ── subscriptions ────────────────────────────────────────────────────────────────────────────────

    def admit(
        self, request: Request, principal: Principal, dialect: Dialect
    ) -> tuple[Admission, Resumption | None]:
        """What a subscription request asks for, and where it goes on if it resumes. Raises PeerError."""
        entrance = self._entrances.get(request.path)
        if entrance is None:
            raise not_found(request)
        admission = entrance.admit(request, principal, self._policy, dialect)
        if admission.last_event_id is None:
            return admission, None
        resumption = self._journal.locate(admission.last_event_id)
        if not resumption.recovered:
            self.metrics.gaps += 1
        if not resumption.recovered and admission.channel.on_gap == "error":
            raise gap_refusal()
        return admission, resumption

    def attendance(self, admission: Admission, subscriber: Subscriber) -> Attendance | None:
        """Whose presence the subscription is, if it is any: it has to arrive before `started` is sent."""
        presence = admission.channel.presence
        if presence is None:
            return None
        registrar, given = self._registrars[presence.topic], admission.input
        return registrar.attendance(subscriber, presence.key(given), presence.about(given))

    def open(
        self,
        admission: Admission,
        resumption: Resumption | None,
        subscriber: Subscriber,
        attendance: Attendance | None = None,
    ) -> Opened:
        """Begin to deliver. The subscription's `started` has been sent. What it returns is to be left."""
        cursor = Cursor(
            self._journal,
            self._replays,
            self._routes,
            subscriber,
            admission.interest,
            admission.on_slow,
            admission.channel.on_gap,
        )
        if attendance is not None:
            attendance.serve(cursor)
            resumption = attendance.begin(resumption)
        if resumption is None:
            cursor.begin(admission.replay)
        else:
            cursor.resume(resumption)
        return attendance or cursor

    # ── exceptions ───────────────────────────────────────────────────────────────────────────────────

    def refusal(self, error: Exception, where: str) -> PeerError:
        """`error` in words for a peer. What was not raised on purpose is logged, and told by incident."""
        if isinstance(error, OverLimit):
            self.metrics.hit(error.limit)
        if isinstance(error, PeerError) and _can_be_said(error):
            return error
        if isinstance(error, StructureError):
            return PeerError("BAD_REQUEST", str(error))
        if isinstance(error, StorageError):
            return PeerError("SERVICE_UNAVAILABLE", "storage cannot be used just now; try again")
        return PeerError("INTERNAL_SERVER_ERROR", f"internal fault; incident {self.incident(error, where)}")

    def goodbye(self, error: Exception) -> Goodbye | None:
        """How a connection ends because a replay met `error`: passing trouble closes it, to be resumed."""
        if isinstance(error, StorageError):
            return Goodbye(CLOSE_TRY_AGAIN, "storage cannot be used just now; reconnect to resume")
        return None

    def incident(self, error: Exception, where: str) -> str:
        """Log what must not be told, and return the id under which it is in the log."""
        incident = secrets.token_hex(4)
        _log.error("internal fault", incident=incident, where=where, exc_info=error)
        return incident


def not_found(request: Request) -> PeerError:
    """No procedure of this kind at this path; the text is @trpc/server's."""
    return PeerError("NOT_FOUND", f'No "{request.kind}"-procedure on path "{request.path}"')


def _can_be_said(error: PeerError) -> bool:
    """Whether the wire can carry `error`: a plugin may have put anything into it."""
    try:
        encode(Failure(Tag(None), error.code, error.message, None, error.data))
    except (TypeError, KeyError):
        return False
    return True


def wire_form(result: Any) -> Any:
    """A procedure's result as JSON-ready values."""
    return result if result.__class__ is dict or not attrs.has(type(result)) else wire.unstructure(result)


def _input_reader(procedure: Procedure) -> _InputReader | None:
    return None if procedure.input is None else wire.compile(procedure.input)


def _output_marks(procedure: Procedure, topics: Mapping[str, Marks]) -> Marks | None:
    """The marks of its answers, if they have any; `topics` are those of payloads."""
    if procedure.output is None:
        return None
    marks = wire.marks(procedure.output, Varying(WholeEvent, "payload", "topic", topics))
    return None if marks.is_plain else marks
