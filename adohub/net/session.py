"""One WebSocket: messages in, replies and cursors out, and how it ends.

    greeting (connection params) -> conversing -> goodbye

One task reads; a call that takes time gets a task of its own, a replaying cursor too; all of them end with
the session. A session reads no further while its own outbox is full, so a peer that does not read its
answers cannot make them pile up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import trio
from attrs import frozen

from adohub.errors import Goodbye, PeerError
from adohub.hub.admission import Admission
from adohub.hub.attendance import Attendance
from adohub.hub.journal import Resumption
from adohub.model import Principal
from adohub.net.dispatch import CLOSE_TRY_AGAIN, Caller, Dispatch, Opened
from adohub.net.expiry import CLOSE_POLICY, Expiry
from adohub.net.host import Host, PeerGone
from adohub.net.outbox import Outbox
from adohub.net.strangers import Strangers
from adohub.net.subscription import Subscription
from adohub.net.tasks import Tasks
from adohub.wire.conversation import Answer, Authenticate, Cancel, Conversation
from adohub.wire.dialect import Dialect
from adohub.wire.dialects import Dialects
from adohub.wire.frame import NO_STATUS
from adohub.wire.messages import Data, Failure, Outgoing, Request, Stopped, Tag

CALLS_IN_FLIGHT = 256
"""How many queries and mutations of one connection may be running; then it is read no further."""

STEPS_AT_A_TIME = 64
"""How many of a peer's messages are dealt with before others may run; what they publish is one batch."""

CLOSE_HELD = 3
"""How many times as long as its answer the close of a refused peer is held, if it is one of a crowd."""

CLOSE_HANDSHAKE_S = 1.0
"""How long a peer may take to answer a close frame, in seconds."""


@frozen
class SessionLimits:
    """Times in seconds."""

    greeting_timeout_s: float
    reject_delay_s: float


Identify = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Tells who shows these connection params. Raises PeerError."""


class Session:
    """One connection's conversation.

    `known` is its principal, or else turns the connection params, which are awaited, into one. What it runs
    beside its own task runs in `nursery`.
    """

    __slots__ = (
        "_call_answered",
        "_caller",
        "_calls",
        "_cursors",
        "_dialects",
        "_dispatch",
        "_expiry",
        "_goodbye",
        "_has_expired",
        "_identify",
        "_leaving",
        "_limits",
        "_scope",
        "_strangers",
        "_tasks",
        "conversation",
        "outbox",
    )

    def __init__(
        self,
        outbox: Outbox,
        nursery: trio.Nursery,
        conversation: Conversation,
        dispatch: Dispatch,
        dialects: Dialects,
        limits: SessionLimits,
        known: Principal | Identify,
        expiry: Expiry,
        strangers: Strangers,
    ) -> None:
        self.conversation = conversation
        self.outbox = outbox
        self._tasks = Tasks(nursery, self._fault)
        self._scope = trio.CancelScope()
        self._dispatch = dispatch
        self._dialects = dialects
        self._limits = limits
        self._expiry = expiry
        self._strangers = strangers
        self._caller: Caller | None = None
        self._identify: Identify | None = None
        if isinstance(known, Principal):
            self._enter(known)
        else:
            self._identify = known
        self._cursors: dict[Tag, tuple[str, Opened]] = {}
        self._calls = 0
        self._call_answered: trio.Event | None = None
        self._goodbye: Goodbye | None = None
        self._leaving = False
        self._has_expired = False

    async def run(self, host: Host) -> None:
        """Converse until either side has had enough; leaves nothing behind."""
        try:
            with self._scope:
                self._leave_if_idle()
                if self._caller is None:
                    await self._greet(host)
                while True:
                    if self.outbox.is_crowded:
                        await self.outbox.room()
                    await self._take(await host.receive())
        except PeerGone as gone:
            self._dispatch.metrics.errors += gone.without_a_word
            return
        except Goodbye as goodbye:
            self._dispatch.metrics.errors += 1
            self._dispatch.metrics.hit(goodbye.limit)
            self.drop(goodbye)
        finally:  # while tasks can still be started: until it has left, a cursor may want to
            self._strangers.remove(self._make_room)
            self._leave_cursors()
            await self._tasks.end()
        if self._goodbye is not None:
            with trio.move_on_after(CLOSE_HANDSHAKE_S, shield=True):
                await host.close(self._goodbye.code, self._goodbye.reason)

    async def _greet(self, host: Host) -> None:
        self._strangers.add(self._make_room)
        began = trio.current_time()
        with trio.move_on_after(self._limits.greeting_timeout_s) as limit:
            while self._caller is None and not self.conversation.is_refused:
                await self._take(await host.receive())
        if limit.cancelled_caught:
            raise Goodbye(CLOSE_POLICY, "no connection params in time", limit="handshake_timeout_ms")
        if self.conversation.is_refused:
            held_s = max(self._limits.reject_delay_s, CLOSE_HELD * (trio.current_time() - began))
            self._tasks.start(lambda: self._close_refused(held_s))

    def _leave_cursors(self) -> None:
        for _, cursor in self._cursors.values():
            cursor.leave()
        self._cursors.clear()

    @property
    def subscribed_paths(self) -> Iterable[str]:
        """The path of each of its subscriptions."""
        return (path for path, _ in self._cursors.values())

    @property
    def speaks_v11(self) -> bool:
        """Whether its client is known to understand a text PING."""
        return self.conversation.speaks_v11

    @property
    def _dialect(self) -> Dialect:
        """How its client speaks, and is spoken to."""
        return self._dialects.binary if self.conversation.is_binary else self._dialects.frames

    # ── endings ──────────────────────────────────────────────────────────────────────────────────────

    def drop(self, goodbye: Goodbye) -> None:
        """End the connection with `goodbye`; what is under way is cancelled."""
        if self._goodbye is None:
            self._goodbye = goodbye
        self._scope.cancel()

    def abandon(self) -> None:
        """End the connection without a word: the peer is not there to hear it."""
        self._dispatch.metrics.errors += 1
        self.outbox.abort()
        self._scope.cancel()

    def _make_room(self) -> None:
        self._dispatch.metrics.hit("max_connections")
        self.abandon()

    def leave(self, goodbye: Goodbye) -> None:
        """End the connection with `goodbye` as soon as no call is in flight on it."""
        self._goodbye = goodbye
        self._leaving = True
        self._leave_if_idle()

    def expire(self) -> None:
        """End the connection as `leave` does; nothing is delivered any more, and no further call begins.

        What is asked from now on is not answered: a refusal would end a subscription for good. A peer that
        has not read by now what it was given does not get it any more.
        """
        self._has_expired = True
        self._leave_cursors()
        self.outbox.flush()
        if self.outbox.queued:
            self.abandon()
            return
        self.leave(Goodbye(CLOSE_POLICY, "the credential has expired"))

    def _leave_if_idle(self) -> None:
        if self._leaving and self._calls == 0 and self._goodbye is not None:
            self.drop(self._goodbye)

    def _fault(self, error: Exception) -> None:
        """What runs beside has ended with an exception that nobody foresaw: so does the connection."""
        self._dispatch.incident(error, "connection")
        self.abandon()

    async def _close_refused(self, held_s: float) -> None:
        """Hold a refused peer for a while: clients that are closed at once come back at once.

        Who has waited long for the answer is one of many, and waits longer still.
        """
        await trio.sleep(held_s)
        self.drop(Goodbye(NO_STATUS))

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, frames: Sequence[str | bytes]) -> None:
        taken, outbox = 0, self.outbox
        self._dispatch.metrics.messages_in += len(frames)
        for frame in frames:
            for step in self.conversation.receive(frame):
                taken += 1
                if taken % STEPS_AT_A_TIME == 0:
                    await trio.lowlevel.checkpoint()
                if outbox.is_crowded:
                    await outbox.room()
                while isinstance(step, Request) and self._calls >= CALLS_IN_FLIGHT:
                    self._call_answered = self._call_answered or trio.Event()
                    await self._call_answered.wait()
                if self._scope.cancel_called or self._has_expired:  # perhaps while it waited
                    return
                if isinstance(step, Request):
                    self._open(step) if step.kind == "subscription" else self._call(step)
                else:
                    await self._step(step)

    async def _step(self, step: Answer | Authenticate | Cancel) -> None:
        match step:
            case Answer(message, limit):
                self._dispatch.metrics.hit(limit)
                self._say(message)
            case Authenticate(params):
                await self._authenticate(params.values or {})
            case Cancel(tag):
                self._cancel(tag)

    async def _authenticate(self, params: Mapping[str, str]) -> None:
        assert self._identify is not None
        self._strangers.remove(self._make_room)
        try:
            self._enter(await self._identify(params))
        except Exception as error:
            refusal = self._dispatch.refusal(error, "connection params")
            if refusal.code == "SERVICE_UNAVAILABLE":  # it passes; an error ends subscriptions for good
                await trio.sleep(self._limits.reject_delay_s)
                raise Goodbye(CLOSE_TRY_AGAIN, "credentials cannot be checked just now") from error
            for answer in self.conversation.refused(refusal):
                await self._step(answer)
        else:
            self.conversation.accepted()

    def _enter(self, principal: Principal) -> None:
        self._caller = self._dispatch.caller(principal)
        self._expiry.watch(self, principal.expires_at)

    def _call(self, request: Request) -> None:
        caller = self._known()
        self._calls += 1
        unfinished = self._dispatch.call(request, caller, self._dialect, self._reply)
        if unfinished is not None:
            self._tasks.start(lambda: unfinished)

    def _reply(self, answer: Data | Failure) -> None:
        self._dispatch.metrics.messages_out += 1
        self.outbox.send(self._dialect.message(answer))
        self._calls -= 1
        if self._call_answered is not None:
            self._call_answered.set()
            self._call_answered = None
        if self._leaving:
            self._leave_if_idle()

    def _open(self, request: Request) -> None:
        tag = request.tag
        try:
            admission, resumption = self._dispatch.admit(request, self._known().principal, self._dialect)
        except Exception as error:  # noqa: BLE001 - a channel's select is a stranger's code
            self._fail(tag, self._dispatch.refusal(error, request.path), request.path)
            return
        subscription = Subscription(self, tag, request.path)
        attendance = self._dispatch.attendance(admission, subscription)
        if attendance is None:
            self._begin(admission, resumption, subscription)
            return

        async def arrive() -> None:
            await attendance.arrive()
            if not attendance.is_over:
                self._begin(admission, resumption, subscription, attendance)

        self._cursors[tag] = request.path, attendance
        subscription.start(arrive)

    def _begin(
        self,
        admission: Admission,
        resumption: Resumption | None,
        subscription: Subscription,
        attendance: Attendance | None = None,
    ) -> None:
        tag = subscription.tag
        self._say(self.conversation.started(tag, recovered=resumption.recovered if resumption else None))
        opened = self._dispatch.open(admission, resumption, subscription, attendance)
        if self.conversation.is_open(tag):
            self._cursors[tag] = subscription.path, opened

    def _cancel(self, tag: Tag) -> None:
        self._leave_cursor(tag)
        self._say(Stopped(tag))

    def _known(self) -> Caller:
        if self._caller is None:
            raise PeerError("UNAUTHORIZED", "the connection params have not been seen")
        return self._caller

    def _leave_cursor(self, tag: Tag) -> None:
        found = self._cursors.pop(tag, None)
        if found is not None:
            found[1].leave()

    # ── for its subscriptions ────────────────────────────────────────────────────────────────────────

    def say_missed(self, tag: Tag) -> None:
        """The subscription has missed something, and goes on."""
        if self.conversation.is_open(tag):
            self._say(self.conversation.missed(tag))

    def complete(self, tag: Tag) -> None:
        """The subscription is over, and its `stopped` is in the outbox."""
        self._cursors.pop(tag, None)
        if self.conversation.is_open(tag):
            self.conversation.finished(tag)

    async def replay(self, tag: Tag, path: str, replay: Callable[[], Awaitable[None]]) -> None:
        """Run a cursor's replay; what goes wrong in it ends the subscription, or the connection."""
        try:
            await replay()
        except Exception as error:  # noqa: BLE001 - translated by dispatch
            goodbye = self._dispatch.goodbye(error)
            if goodbye is not None:
                self.drop(goodbye)
            elif self.conversation.is_open(tag):
                self._fail(tag, self._dispatch.refusal(error, path), path)

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run `task` until it ends or the session does."""
        self._tasks.start(task)

    def _fail(self, tag: Tag, error: PeerError, path: str) -> None:
        self._leave_cursor(tag)
        for message in self.conversation.failed(tag, error, path):
            self._say(message)

    def _say(self, message: Outgoing) -> None:
        if isinstance(message, Failure):
            self._dispatch.metrics.errors += 1
        self._dispatch.metrics.messages_out += 1
        self.outbox.send(self._dialect.message(message))
