"""What becomes of one accepted connection: its first request decides, and every limit is checked here."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import trio
from attrs import frozen

from adohub.config import Server
from adohub.errors import Goodbye
from adohub.hub.authentication import Authentication
from adohub.model import Principal
from adohub.net.dispatch import Dispatch
from adohub.net.head import Head, HeadRefused, check_origin, check_upgrade, read_head
from adohub.net.host import Host, host_by_trio_websocket
from adohub.net.http import Pages, refused, written
from adohub.net.keepalive import Keepalive, Watched
from adohub.net.listener import Peer
from adohub.net.native import host_natively
from adohub.net.outbox import Outbox
from adohub.net.session import CLOSE_RESTART, Session, SessionLimits
from adohub.net.turn import Turn
from adohub.wire.codes import CODES
from adohub.wire.conversation import Conversation

WEBSOCKET_PATHS = ("/", "/trpc", "/trpc/")

_HOSTS = {"native": host_natively, "trio-websocket": host_by_trio_websocket}
"""`[server] websocket`."""

_RESTART = Goodbye(CLOSE_RESTART, "the hub restarts; reconnect to resume")


class Gate:
    """Lets connections in, one task each, and sees them out."""

    def __init__(
        self,
        config: Server,
        reject_delay_ms: int,
        dispatch: Dispatch,
        authentication: Authentication,
        pages: Pages,
        keepalive: Keepalive,
        turn: Turn,
    ) -> None:
        self._config = config
        self._limits = SessionLimits(config.handshake_timeout_ms / 1000, reject_delay_ms / 1000)
        self._dispatch = dispatch
        self._authentication = authentication
        self._pages = pages
        self._keepalive = keepalive
        self._turn = turn
        self._sessions: dict[Session, None] = {}
        self.connections = 0
        """How many are open now, plain HTTP ones included."""
        self._all_left = trio.Event()
        self.draining = False
        """Whether new WebSockets are refused because the hub is about to end."""

    async def serve(self, connected: socket.socket, peer: Peer) -> None:
        """Serve one connection to its end. Raises nothing: a fault in one connection is not the others'."""
        self.connections += 1
        try:
            async with trio.open_nursery() as nursery:
                outbox = Outbox(connected, nursery, limit=self._config.outbox_bytes, gather=self._turn.gather)
                async with outbox:
                    await self._serve(outbox, peer)
                nursery.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - see the docstring
            self._dispatch.incident(error, f"connection from {peer.address}")
        finally:
            self.connections -= 1

    async def drain(self, deadline_s: float) -> None:
        """Refuse newcomers and see everybody out, one by one over half of `deadline_s` seconds."""
        self.draining = True
        sessions = list(self._sessions)
        with trio.move_on_after(deadline_s):
            for session in sessions:
                session.leave(_RESTART)
                await trio.sleep(min(0.01, deadline_s / 2 / len(sessions)))
            while self._sessions:
                self._all_left = trio.Event()
                await self._all_left.wait()

    # ── one connection ───────────────────────────────────────────────────────────────────────────────

    async def _serve(self, outbox: Outbox, peer: Peer) -> None:
        try:
            with trio.fail_after(self._limits.greeting_timeout_s):
                admitted = await self._admit(outbox, peer)
        except HeadRefused as refusal:
            outbox.send(written(refused(refusal)))
        except (trio.TooSlowError, trio.BrokenResourceError):
            return
        else:
            if admitted is not None:
                await self._converse(outbox, admitted)

    async def _admit(self, outbox: Outbox, peer: Peer) -> _Admitted | None:
        """Read the request and answer it, or say who wants to open a WebSocket."""
        head = await read_head(outbox)
        if head is None:
            return None
        if not head.is_upgrade:
            await self._pages.answer(outbox, head)
            return None
        self._check(head)
        expects_params = head.query.get("connectionParams") == "1"
        credentials = _credentials(head, peer)
        principal = None
        if credentials.get("token") or not expects_params:
            principal = await self._identify_at_upgrade(credentials)
        return _Admitted(head, principal, expects_params, credentials)

    def _check(self, head: Head) -> None:
        if head.path not in WEBSOCKET_PATHS:
            raise HeadRefused(404, f"there is no WebSocket at {head.path}; use / or /trpc")
        check_upgrade(head)
        check_origin(head, tuple(self._config.allowed_origins))
        if self.draining:
            raise HeadRefused(503, "the hub is about to restart", {"retry-after": "1"})
        if self.connections > self._config.max_connections:
            raise HeadRefused(503, "the hub has as many connections as it may", {"retry-after": "1"})

    async def _identify_at_upgrade(self, credentials: Mapping[str, Any]) -> Principal:
        try:
            return await self._authentication.identify(credentials)
        except Exception as error:
            refusal = self._dispatch.refusal(error, "authentication")
            status = CODES[refusal.code].http_status
            headers = {"www-authenticate": "Bearer"} if status == 401 else {}
            raise HeadRefused(status, refusal.message, headers) from error

    async def _converse(self, outbox: Outbox, admitted: _Admitted) -> None:
        async def identify(params: Mapping[str, str]) -> Principal:
            if admitted.principal is not None:
                return admitted.principal
            shown = {**admitted.credentials, "params": params}
            if "token" in params:
                shown["token"] = params["token"]
            return await self._authentication.identify(shown)

        conversation = Conversation(
            expects_params=admitted.expects_params,
            max_subscriptions=self._config.max_subscriptions_per_connection,
        )

        async def converse(host: Host) -> None:
            principal = None if admitted.expects_params else admitted.principal
            session = Session(host, outbox, conversation, self._dispatch, self._limits, principal, identify)
            with self._in_register(session):
                await session.run()

        host_it = _HOSTS[self._config.websocket]
        await host_it(outbox, admitted.head, self._config.max_message_bytes, converse)

    @contextmanager
    def _in_register(self, session: Session) -> Iterator[None]:
        watched = Watched(session.outbox, lambda: session.conversation.speaks_v11, session.abandon)
        self._sessions[session] = None
        if self.draining:  # it was let in before the drain, and has only now come through
            session.leave(_RESTART)
        self._keepalive.watch(watched)
        try:
            yield
        finally:
            self._keepalive.forget(watched)
            del self._sessions[session]
            if not self._sessions:
                self._all_left.set()


@frozen
class _Admitted:
    head: Head
    principal: Principal | None
    expects_params: bool
    credentials: Mapping[str, Any]


def _credentials(head: Head, peer: Peer) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"headers": head.headers, "address": peer.address}
    if head.token is not None:
        shown["token"] = head.token
    if peer.uid is not None:
        shown["uid"] = peer.uid
    return shown
