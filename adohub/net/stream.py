"""One subscription as server-sent events, on a connection that ends with it.

    delivering > complete      `return`, and the body ends
               > failed        `serialized-error`, and the body ends
               > interrupted   the body ends without a word: an EventSource comes back and resumes

Passing trouble interrupts, because an EventSource that is told of an end never comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from adohub.errors import Goodbye
from adohub.hub.admission import Admission
from adohub.hub.attendance import Attendance
from adohub.hub.cohort import Push
from adohub.hub.journal import Resumption
from adohub.net.dispatch import Dispatch, Opened
from adohub.net.outbox import Outbox
from adohub.net.tasks import Tasks
from adohub.wire.messages import Failure, Ping, Tag
from adohub.wire.sse import ServerSentEvents, connected

MAX_UNHEARD_BYTES = 65536
"""How much a peer may send while it is streamed to, in bytes. What it says then is not acted upon."""

STREAM = Tag(None)
"""A stream has one subscription, which needs no number."""


class EventStream:
    """The response to one subscription request, as its cursor sees it (`adohub.hub.cursor.Subscriber`).

    `inactivity_ms`: what `connected` has told its client of silence.
    """

    __slots__ = (
        "_cursor",
        "_dialect",
        "_dispatch",
        "_inactivity_ms",
        "_is_over",
        "_scope",
        "_tasks",
        "outbox",
        "path",
    )

    def __init__(
        self,
        outbox: Outbox,
        dispatch: Dispatch,
        dialect: ServerSentEvents,
        path: str,
        inactivity_ms: int | None = None,
    ) -> None:
        self.outbox = outbox
        self.path = path
        self._dispatch = dispatch
        self._dialect = dialect
        self._inactivity_ms = inactivity_ms
        self._tasks = Tasks(outbox.nursery, self._fault)
        self._scope = trio.CancelScope()
        self._cursor: Opened | None = None
        self._is_over = False

    async def run(
        self,
        admission: Admission,
        resumption: Resumption | None,
        attendance: Attendance | None = None,
    ) -> None:
        """Deliver until it is over or the peer is gone; leaves nothing running. The head has been sent.

        Of what was given some may still be queued then.
        """
        try:
            with self._scope:
                self._cursor = self._dispatch.open(admission, resumption, self, attendance)
                await self._peer_gone()
        finally:
            if self._cursor is not None:
                self._cursor.leave()
            await self._tasks.end()

    async def _peer_gone(self) -> None:
        unheard = 0
        try:
            while unheard <= MAX_UNHEARD_BYTES and (data := await self.outbox.receive_some()):
                unheard += len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def interrupt(self) -> None:
        """End it for now; the peer comes back and resumes."""
        self._is_over = True
        self._scope.cancel()

    def leave(self, goodbye: Goodbye) -> None:
        """Stay: an EventSource that comes back shows the same credential again."""

    def expire(self) -> None:
        """End it: the peer comes back and is asked for its credential. What it has not read it never gets."""
        self.outbox.flush()
        if self.outbox.queued:
            self.outbox.abort()
        self.interrupt()

    def ping(self) -> None:
        """Show a sign of life, unless there is something on its way that does."""
        if not self._is_over and not self.outbox.queued:
            self.outbox.send(self._dialect.message(Ping()))

    def _fault(self, error: Exception) -> None:
        """What runs beside has ended with an exception that nobody foresaw."""
        self._dispatch.incident(error, self.path)
        self.interrupt()

    # ── for its cursor ───────────────────────────────────────────────────────────────────────────────

    @property
    def push(self) -> Push:
        """See `Subscriber`."""
        return self.outbox.push

    async def room(self) -> None:
        """See `Subscriber`."""
        await self.outbox.lull()

    def start(self, replay: Callable[[], Awaitable[None]]) -> None:
        """See `Subscriber`."""
        self._tasks.start(lambda: self._replay(replay))

    async def _replay(self, replay: Callable[[], Awaitable[None]]) -> None:
        try:
            await replay()
        except Exception as error:  # noqa: BLE001 - translated by dispatch
            if self._dispatch.goodbye(error) is None and not self._is_over:
                refusal = self._dispatch.refusal(error, self.path)
                self._dispatch.metrics.errors += 1
                self.outbox.send(
                    self._dialect.message(
                        Failure(STREAM, refusal.code, refusal.message, self.path, refusal.data)
                    )
                )
            self.interrupt()

    def missed(self) -> None:
        """See `Subscriber`."""
        self._dispatch.metrics.messages_out += 1
        self.outbox.send(connected(recovered=False, inactivity_ms=self._inactivity_ms))

    def completed(self) -> None:
        """See `Subscriber`."""
        self.interrupt()

    def drop(self, goodbye: Goodbye) -> None:
        """See `Subscriber`: there is nothing to say goodbye with."""
        del goodbye
        self.interrupt()
