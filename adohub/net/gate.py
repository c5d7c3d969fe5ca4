"""What becomes of one accepted connection: who may open a WebSocket, and how many there may be."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import trio

from adohub.config import Limits, Server
from adohub.errors import Goodbye, OverLimit, PeerError
from adohub.hub.authentication import Authentication
from adohub.hub.failures import source_of
from adohub.model import Principal
from adohub.net.cors import Origins
from adohub.net.dispatch import Dispatch
from adohub.net.exchange import refused
from adohub.net.expiry import CLOSE_RESTART, Expiry
from adohub.net.head import Head, HeadRefused, credentials
from adohub.net.host import MessageSizes, host_by_trio_websocket
from adohub.net.keepalive import Keepalive
from adohub.net.listener import Peer
from adohub.net.native import host_natively
from adohub.net.outbox import Outbox
from adohub.net.reception import Reception
from adohub.net.session import Identify, Session, SessionLimits
from adohub.net.strangers import RoomNeeded, Strangers
from adohub.net.tls import Certificate
from adohub.net.turn import Turn
from adohub.net.upgrade import check_upgrade, websocket_key
from adohub.net.web import Web
from adohub.wire.codes import CODES
from adohub.wire.conversation import Conversation
from adohub.wire.dialects import Choice, Dialects

WEBSOCKET_PATHS = ("/", "/trpc", "/trpc/")

CLOSING_AT_A_TIME = 32
"""How many connections more than there may be are closed with patience, which takes descriptors."""

_HOSTS = {"native": host_natively, "trio-websocket": host_by_trio_websocket}
"""`[server] websocket`."""

_RESTART = Goodbye(CLOSE_RESTART, "the hub restarts; reconnect to resume")


class Gate:
    """Lets connections in, one task each, and sees them out."""

    def __init__(
        self,
        config: Server,
        limits: Limits,
        reject_delay_ms: int,
        dispatch: Dispatch,
        choice: Choice,
        authentication: Authentication,
        web: Web,
        origins: Origins,
        keepalive: Keepalive,
        expiry: Expiry,
        strangers: Strangers,
        turn: Turn,
        certificate: Certificate | None = None,
    ) -> None:
        self._config = config
        self._limits = limits
        self._times = SessionLimits(config.handshake_timeout_ms / 1000, reject_delay_ms / 1000)
        self._dispatch = dispatch
        self._choice = choice
        self._authentication = authentication
        self._reception = Reception(
            web.answer,
            turn.place,
            self._times.greeting_timeout_s,
            dispatch.metrics,
            strangers,
            limits.max_head_bytes,
            certificate,
        )
        self._sizes = MessageSizes(config.max_message_bytes, limits.max_frame_fragments)
        self._from = Counter[str]()
        """How many connections each address has, if there is a limit to that."""
        self._origins = origins
        self._keepalive = keepalive
        self._expiry = expiry
        self._strangers = strangers
        self._turn = turn
        self._host = _HOSTS[config.websocket]
        self._sessions: dict[Session, None] = {}
        self.connections = 0
        """How many are open now, plain HTTP ones included."""
        self._all_left = trio.Event()

    async def serve(self, connected: socket.socket, peer: Peer, nursery: trio.Nursery) -> None:
        """Serve one connection to its end; what it runs beside this task runs in `nursery`.

        Raises nothing: a fault in one connection is not the others'. An idle WebSocket waits in here for most
        of its life, so this function and `Session.run` keep little, and nothing waits in between.
        """
        self.connections += 1
        source = self._count_in(peer)
        outbox = Outbox(connected, nursery, limit=self._config.outbox_bytes, gather=self._turn.gather)
        session: Session | None = None
        try:
            admitted = await self._greet(outbox, peer, self._excess(source))
            if admitted is not None:
                session = self._open(outbox, nursery, admitted)
                hosted = self._host(outbox, admitted.key, self._sizes, session.run)
                del admitted
                await hosted
        except Exception as error:  # noqa: BLE001 - see the docstring
            self._dispatch.incident(error, f"connection from {peer.address}")
        finally:
            if session is not None:
                self._forget(session)
            try:
                if self.connections > self._config.max_connections + CLOSING_AT_A_TIME:
                    outbox.abort()
                await outbox.aclose()
            finally:
                self.connections -= 1
                self._count_out(source)

    def _count_in(self, peer: Peer) -> str:
        """Count a connection to its address, and give that; empty if nobody counts."""
        if not self._limits.max_connections_per_address:
            return ""
        source = source_of({"uid": peer.uid} if peer.uid is not None else {"address": peer.address})
        self._from[source] += 1
        return source

    def _count_out(self, source: str) -> None:
        if source:
            self._from[source] -= 1
            if not self._from[source]:
                del self._from[source]

    def _excess(self, source: str) -> OverLimit | None:
        """Why the newest connection, of `source`, is one too many, if it is."""
        if source and self._from[source] > self._limits.max_connections_per_address:
            limit, words = "max_connections_per_address", "this address has as many connections as it may"
        elif self.connections > self._config.max_connections and not self._reception.make_room():
            limit, words = "max_connections", "the hub has as many connections as it may"
        else:
            return None
        return OverLimit(limit, "SERVICE_UNAVAILABLE", f"{words}; try again")

    @property
    def draining(self) -> bool:
        """Whether new WebSockets are refused because the hub is about to end."""
        return self._reception.draining

    @property
    def websockets(self) -> int:
        """How many WebSockets are open now."""
        return len(self._sessions)

    def subscriptions(self) -> Counter[str]:
        """How many subscriptions are open now, by path."""
        return Counter(path for session in self._sessions for path in session.subscribed_paths)

    async def drain(self, deadline_s: float) -> None:
        """Refuse newcomers and see everybody out, one by one over half of `deadline_s` seconds."""
        self._reception.leave()
        sessions = list(self._sessions)
        with trio.move_on_after(deadline_s):
            for session in sessions:
                session.leave(_RESTART)
                await trio.sleep(min(0.01, deadline_s / 2 / len(sessions)))
            while self._sessions:
                self._all_left = trio.Event()
                await self._all_left.wait()
            await self._reception.left()

    # ── its requests ─────────────────────────────────────────────────────────────────────────────────

    async def _greet(self, outbox: Outbox, peer: Peer, excess: OverLimit | None) -> _Admitted | None:
        """Answer its requests until one wants a WebSocket that may be opened, or it is over."""
        head = await self._reception.upgrade(outbox, peer, excess=excess)
        if head is None:
            return None
        try:
            return await self._admitted(head, peer, excess)
        except HeadRefused as refusal:
            self._dispatch.metrics.hit(refusal.limit)
            outbox.send(refused(refusal))
        except trio.TooSlowError:
            self._dispatch.metrics.hit("handshake_timeout_ms")
        except RoomNeeded:
            self._dispatch.metrics.hit("max_connections")
        self._dispatch.metrics.errors += 1
        return None

    async def _admitted(self, head: Head, peer: Peer, excess: OverLimit | None) -> _Admitted:
        """Raises HeadRefused, TooSlowError, RoomNeeded."""
        with trio.move_on_after(self._times.greeting_timeout_s) as scope:
            self._strangers.add(scope.cancel)
            try:
                return await self._admit(head, peer, excess)
            finally:
                is_waited_for = self._strangers.remove(scope.cancel)
        raise trio.TooSlowError if is_waited_for else RoomNeeded

    async def _admit(self, head: Head, peer: Peer, excess: OverLimit | None) -> _Admitted:
        self._check(head, excess)
        dialects = self._dialects(head)
        shown = credentials(head, peer)
        if head.query.get("connectionParams") != "1":
            return _Admitted(websocket_key(head), dialects, await self._identify_at_upgrade(shown))
        principal = None
        if shown.get("token"):
            principal = await self._identify_at_upgrade(shown)
        return _Admitted(websocket_key(head), dialects, self._identify_later(shown, principal))

    def _check(self, head: Head, excess: OverLimit | None) -> None:
        if head.path not in WEBSOCKET_PATHS:
            raise HeadRefused(404, f"there is no WebSocket at {head.path}; use / or /trpc")
        check_upgrade(head)
        self._origins.check(head)
        if self.draining:
            raise HeadRefused(503, "the hub is about to restart", {"retry-after": "1"})
        if excess is not None:
            raise HeadRefused(503, excess.message, {"retry-after": "1"}, limit=excess.limit)

    def _dialects(self, head: Head) -> Dialects:
        try:
            return self._choice.by(head.query)
        except PeerError as error:
            raise HeadRefused(400, error.message) from error

    async def _identify_at_upgrade(self, credentials: Mapping[str, Any]) -> Principal:
        try:
            return await self._authentication.identify(credentials)
        except Exception as error:
            refusal = self._dispatch.refusal(error, "authentication")
            status = CODES[refusal.code].http_status
            headers = {"www-authenticate": "Bearer"} if status == 401 else {}
            raise HeadRefused(status, refusal.message, headers) from error

    def _identify_later(self, credentials: Mapping[str, Any], principal: Principal | None) -> Identify:
        """What turns connection params into a principal; one that was known by then stays."""

        async def identify(params: Mapping[str, str]) -> Principal:
            if principal is not None:
                return principal
            shown = {**credentials, "params": params}
            if "token" in params:
                shown["token"] = params["token"]
            return await self._authentication.identify(shown)

        return identify

    # ── its session ──────────────────────────────────────────────────────────────────────────────────

    def _open(self, outbox: Outbox, nursery: trio.Nursery, admitted: _Admitted) -> Session:
        known = admitted.known
        conversation = Conversation(
            expects_params=not isinstance(known, Principal),
            max_subscriptions=self._config.max_subscriptions_per_connection,
            limits=self._limits,
        )
        session = Session(
            outbox,
            nursery,
            conversation,
            self._dispatch,
            admitted.dialects,
            self._times,
            known,
            self._expiry,
            self._strangers,
        )
        self._sessions[session] = None
        self._keepalive.watch(session)
        if self.draining:  # it was let in before the drain, and has only now come through
            session.leave(_RESTART)
        return session

    def _forget(self, session: Session) -> None:
        self._keepalive.forget(session)
        self._expiry.forget(session)
        del self._sessions[session]
        if not self._sessions:
            self._all_left.set()


class _Admitted(NamedTuple):
    """Who may open a WebSocket: the key of its handshake, how to speak to it, and who that is or will be."""

    key: str
    dialects: Dialects
    known: Principal | Identify
