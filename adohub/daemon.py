"""COMPOSITION ROOT: every object is made here; what is opened in order is closed in reverse.

    storage > journal and pump > sources > sessions > listeners

A drain ends them from the right: first no newcomers, then every session sees its goodbye, then what was
submitted reaches storage, then storage closes.
"""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog
import trio
from attrs import asdict

from adohub.checks import certificate, check_engine, check_exposure, check_peers, check_sharing, is_trusted
from adohub.config import Config, Server
from adohub.config import Storage as StorageConfig
from adohub.errors import ConfigError
from adohub.hub.authentication import Authentication
from adohub.hub.cohort import Cohort
from adohub.hub.failures import Failures
from adohub.hub.intake import Intake
from adohub.hub.journal import Journal
from adohub.hub.policy import Policy
from adohub.hub.presence import Registrar
from adohub.hub.pump import pump
from adohub.hub.rates import Rates
from adohub.hub.replays import Replays
from adohub.hub.routes import Routes
from adohub.hub.service import HubService
from adohub.hub.supervisor import supervise
from adohub.hub.twin import SlowCohort
from adohub.metrics import Metrics
from adohub.net.cors import Origins
from adohub.net.dispatch import Dispatch
from adohub.net.expiry import Expiry
from adohub.net.gate import Gate
from adohub.net.keepalive import Keepalive
from adohub.net.listener import Listener, Peer, accept, listen_tcp, listen_unix, take_over
from adohub.net.strangers import Strangers
from adohub.net.tls import Certificate
from adohub.net.trpc import Trpc
from adohub.net.turn import Turn
from adohub.net.web import Web
from adohub.plugin.registry import Registry
from adohub.plugin.storage import Storage, StorageSettings
from adohub.process import raise_descriptor_limit, settle_in
from adohub.systemd import NOBODY, Manager
from adohub.typegen import offer, schema_hash
from adohub.wire.dialects import every_choice
from adohub.wire.noting import Noting

SPARE_DESCRIPTORS = 64
"""How many files the hub opens besides its connections."""

FLUSH_S = 5.0
"""How long what has been submitted may take to reach storage at the end, in seconds."""

_COHORTS = {"shared": Cohort, "single": SlowCohort}
"""`[server] fan_out`."""

_log = structlog.get_logger("adohub.daemon")


class Daemon:
    """One hub. `await run()` serves until `stop()` or a signal; `registry` is what the plugins gave.

    `inherited`: sockets that listen already, in place of the configured addresses. `manager` is told how the
    hub is.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        *,
        inherited: Sequence[socket.socket] = (),
        manager: Manager = NOBODY,
    ) -> None:
        self._config = config
        self._registry = registry
        self._inherited = inherited
        self.manager = manager
        self._instance = secrets.token_hex(6)
        self._certificate: Certificate | None = None
        self._stopping = trio.Event()
        self._hurry = trio.Event()
        self.urls: Sequence[str] = ()
        """Where it can be reached, once it listens."""

    def stop(self) -> None:
        """Drain and end. A second call ends the drain at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()
        self.manager.stopping(self._config.server.drain_timeout_ms / 1000 + FLUSH_S)

    def reload(self) -> None:
        """Read again what can be read while it runs; what is broken leaves the old in force, says the log."""
        self.manager.reloading()
        self._read_again()
        self.manager.ready()

    def _read_again(self) -> None:
        if self._certificate is None:
            _log.info("there is nothing to reload: what else is configured is read at the start only")
            return
        try:
            self._certificate.reload()
        except ConfigError as error:
            for problem in error.problems:
                _log.error(
                    "the certificate of before stays in force", key=problem.path, error=problem.message
                )
        else:
            _log.info("the certificate has been read again", file=self._config.server.tls_cert)

    def check_descriptors(self, limit: int) -> None:
        """Warn if the process may not open as many files as there may be connections."""
        most = self._config.server.max_connections
        if limit < most + SPARE_DESCRIPTORS:
            _log.warning(
                "fewer connections than server.max_connections can be taken: raise the limit of open files",
                limit=limit,
                max_connections=most,
            )

    async def run(
        self,
        *,
        signals: bool = False,
        task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve; `task_status.started` gets the URLs once connections are accepted.

        `signals`: SIGTERM and SIGINT stop it, SIGHUP has it reload. Raises ConfigError for what only shows at
        the start (`adohub.checks`), and for an address that cannot be listened on.
        """
        engine = check_engine(self._config, self._registry)
        check_exposure(self._config, self._registry, self._hosts if self._inherited else None)
        check_peers(self._config, self._registry)
        self._certificate = certificate(self._config)
        async with engine.open(_settings(self._config.storage, self._registry, self._instance)) as storage:
            check_sharing(self._config, storage)
            await self._run_on(storage, signals, task_status)

    @property
    def _hosts(self) -> Sequence[str]:
        """The addresses at which it can be reached by TCP."""
        if not self._inherited:
            return [self._config.server.host]
        return [one.getsockname()[0] for one in self._inherited if one.family != socket.AF_UNIX]

    async def _run_on(
        self, storage: Storage, signals: bool, task_status: trio.TaskStatus[Sequence[str]]
    ) -> None:
        metrics = Metrics()
        journal = Journal(storage, metrics)
        server = self._config.server
        routes = Routes(_COHORTS[server.fan_out])
        metrics.deliveries = lambda: routes.given
        keepalive, turn = Keepalive(self._config.keepalive), Turn()
        registrars = self._registrars(storage, journal)
        service, dispatch = self._hub(journal, routes, registrars)
        expiry = Expiry(self._config.auth, metrics)
        gate = self._entrance(service, dispatch, keepalive, expiry, turn)
        listeners = await _listen(server, self._inherited)
        async with trio.open_nursery() as engine_room:
            engine_room.start_soon(journal.keep)
            engine_room.start_soon(journal.recover)
            engine_room.start_soon(pump, journal, routes)
            for registrar in registrars.values():
                await engine_room.start(registrar.run, routes)
            engine_room.start_soon(keepalive.run)
            engine_room.start_soon(expiry.run)
            engine_room.start_soon(turn.run)
            engine_room.start_soon(self.manager.keep_informed, lambda: _status(gate, journal))
            for source in (*self._registry.sources, *storage.sources()):
                engine_room.start_soon(
                    supervise, source, service.publisher(source.name), metrics.source_restarts.add
                )
            if signals:
                await engine_room.start(self._obey_signals)
            await self._serve(gate, listeners, task_status)
            with trio.move_on_after(FLUSH_S):
                for registrar in registrars.values():
                    await registrar.quiet()
                await journal.flushed()
            engine_room.cancel_scope.cancel()

    def _intake(self) -> Intake:
        return Intake(
            self._registry.topics,
            allow_undeclared=self._config.topics.allow_undeclared,
            endings=self._registry.endings,
            limits=self._config.limits,
        )

    def _registrars(self, storage: Storage, journal: Journal) -> Mapping[str, Registrar]:
        """By topic who keeps account of who is present."""
        intake, grace_s = self._intake(), self._config.presence.grace_ms / 1000
        return {
            topic: Registrar(
                presence, journal, intake, storage.hubs, instance=self._instance, grace_s=grace_s
            )
            for topic, presence in self._registry.presences.items()
        }

    def _hub(
        self, journal: Journal, routes: Routes, registrars: Mapping[str, Registrar]
    ) -> tuple[HubService, Dispatch]:
        """What knows nothing of connections."""
        config, registry = self._config, self._registry
        readers = {topic: presence.list for topic, presence in registry.presences.items()}
        policy = Policy(config.auth.roles, registry.authorizers, registry.topics, readers)
        service = HubService(
            registry,
            journal,
            self._intake(),
            policy,
            Rates(config.auth.roles),
            engine=config.storage.engine,
            schema_hash=schema_hash(offer(registry, config)),
            instance=self._instance,
            registrars=registrars,
        )
        replays = Replays(journal)
        return service, Dispatch(registry, service, journal, replays, routes, policy, registrars)

    def _entrance(
        self, service: HubService, dispatch: Dispatch, keepalive: Keepalive, expiry: Expiry, turn: Turn
    ) -> Gate:
        """What lets connections in, and all that it needs for them."""
        config, registry = self._config, self._registry
        authentication = Authentication(
            registry.authenticators,
            Failures(config.auth.max_failures_per_minute, config.server.handshake_timeout_ms / 1000 * 0.9),
            dispatch.metrics,
            allow_anonymous=config.auth.allow_anonymous,
            trusted=is_trusted(self._hosts, registry),
        )
        strangers = Strangers()
        choice = every_choice(Noting(registry.payload_marks()), config.server.transformer)
        trpc = Trpc(
            dispatch,
            authentication,
            keepalive,
            choice,
            config.limits,
            expiry,
            strangers,
            max_body_bytes=config.server.max_message_bytes,
        )
        origins = Origins(config.server.allowed_origins, is_open=authentication.is_open)
        web = Web(
            registry.routes,
            service,
            trpc,
            origins,
            dispatch.incident,
            dispatch.metrics,
            max_body_bytes=config.server.max_message_bytes,
        )
        gate = Gate(
            config.server,
            config.limits,
            config.auth.reject_delay_ms,
            dispatch,
            choice,
            authentication,
            web,
            origins,
            keepalive,
            expiry,
            strangers,
            turn,
            self._certificate,
        )
        dispatch.metrics.connections = lambda: gate.websockets
        dispatch.metrics.subscriptions = lambda: gate.subscriptions() + trpc.subscriptions()
        service.report_draining(lambda: gate.draining)
        return gate

    async def _serve(
        self, gate: Gate, listeners: Sequence[Listener], task_status: trio.TaskStatus[Sequence[str]]
    ) -> None:
        try:
            async with trio.open_nursery() as sessions:

                def serve(connected: socket.socket, peer: Peer) -> None:
                    sessions.start_soon(gate.serve, connected, peer, sessions)

                for listener in listeners:
                    sessions.start_soon(accept, listener, serve)
                self.urls = [listener.url for listener in listeners]
                task_status.started(self.urls)
                await self._stopping.wait()
                for listener in listeners:
                    if listener.is_shared:  # newcomers, and those who are seen out, go to the other hubs
                        listener.close()
                await self._drain(gate)
                sessions.cancel_scope.cancel()
        finally:
            for listener in listeners:
                listener.close()

    async def _drain(self, gate: Gate) -> None:
        _log.info("draining")

        async def hurry(scope: trio.CancelScope) -> None:
            await self._hurry.wait()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hurry, nursery.cancel_scope)
            await gate.drain(self._config.server.drain_timeout_ms / 1000)
            nursery.cancel_scope.cancel()

    async def _obey_signals(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            task_status.started()
            async for number in received:
                if number == signal.SIGHUP:
                    self.reload()
                else:
                    self.stop()


def _status(gate: Gate, journal: Journal) -> str:
    """How the hub is, in one line."""
    trouble = f"; storage takes no events: {journal.trouble}" if journal.trouble else ""
    return f"{gate.connections} connections, {gate.subscriptions().total()} subscriptions{trouble}"


async def _listen(server: Server, inherited: Sequence[socket.socket]) -> list[Listener]:
    is_secure = bool(server.tls_cert)
    if inherited:
        return [take_over(one, is_secure=is_secure) for one in inherited]
    listeners = [
        await listen_tcp(server.host, server.port, reuse_port=server.reuse_port, is_secure=is_secure)
    ]
    if server.unix_socket:
        try:
            listeners.append(
                listen_unix(
                    Path(server.unix_socket),
                    mode=int(server.unix_socket_mode, 8),
                    group=server.unix_socket_group,
                )
            )
        except ConfigError:
            listeners[0].close()
            raise
    return listeners


def _settings(config: StorageConfig, registry: Registry, instance: str) -> StorageSettings:
    own = {"sqlite": asdict(config.sqlite), "redis": asdict(config.redis), **config.engines}
    return StorageSettings(
        max_events=config.max_events,
        max_age_s=config.max_age_s,
        idempotency_window_s=config.idempotency_window_s,
        table=own.get(config.engine, {}),
        ended_s=config.keep_ended_s,
        state_keys={name: topic.state_keys for name, topic in registry.topics.items() if topic.state_keys},
        instance=instance,
    )


Announce = Callable[[Sequence[str]], None]
"""Told once where the daemon can be reached."""


async def serve(daemon: Daemon, announce: Announce) -> None:
    """Run `daemon` until it is signalled, telling `announce` once it accepts connections.

    The process is taken to be the daemon's own (see `adohub.process`).
    """
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(lambda task_status: daemon.run(signals=True, task_status=task_status))
        settle_in()
        daemon.check_descriptors(raise_descriptor_limit())
        announce(urls)
        daemon.manager.ready()
