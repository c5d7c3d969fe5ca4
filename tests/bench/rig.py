"""What scenarios share: their form, servers and load on cores of their own, what happened between steps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from adohub_redis.testing import valkey
from attrs import evolve, frozen

from tests.bench.errors import BenchError
from tests.bench.machine import Cores
from tests.bench.peers import REDIS, Peer, Wishes
from tests.bench.plan import Plan
from tests.bench.processes import Ledgers, Load, Server, Step, loading, serving
from tests.bench.workshop import Workshop

Figures = Mapping[str, float]


@frozen
class Rig:
    """What all scenarios of a run share."""

    plan: Plan
    workshop: Workshop
    cores: Cores
    wishes: Wishes

    @asynccontextmanager
    async def serving(
        self, peer: Peer, max_events: int | None = None, *, keepalive: bool = True
    ) -> AsyncIterator[Server]:
        """A fresh server of this peer, on the server's core."""
        async with AsyncExitStack() as beside:
            url = await beside.enter_async_context(self.shared()) if peer.name == REDIS.name else None
            wishes = evolve(self.wishes, max_events=max_events, keepalive=keepalive, redis_url=url)
            yield await beside.enter_async_context(serving(peer, self.workshop, wishes, self.cores.server))

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[str]:
        """A fresh Valkey that logs its writes, on whichever core has time for it; its URL."""
        with TemporaryDirectory(dir=self.workshop.folder) as folder:
            async with valkey(Path(folder), fsync="everysec") as server:
                yield server.url

    @asynccontextmanager
    async def sharing(self, peer: Peer) -> AsyncIterator[tuple[Server, Server]]:
        """Two fresh servers of this peer over one Valkey: on the load's core, and on the server's."""
        async with self.shared() as url:
            wishes = evolve(self.wishes, redis_url=url)
            async with (
                serving(peer, self.workshop, wishes, self.cores.load) as one,
                serving(peer, self.workshop, wishes, self.cores.server) as other,
            ):
                yield one, other

    def loading(
        self, server: Server, phases: Mapping[str, float] | None = None, **options: float | str
    ) -> AbstractAsyncContextManager[Load]:
        """A load generator on the load's core."""
        wanted: dict[str, float | str] = {"bytes": self.plan.event_bytes, **options}
        return loading(
            server,
            self.workshop,
            self.cores,
            phases=phases,
            drain_s=self.plan.drain_s,
            gives_way=False,
            **wanted,
        )

    def replaying(self, server: Server, clients: int) -> AbstractAsyncContextManager[Load]:
        """So many who ask for a history, on the same core; another load may be measured there meanwhile."""
        number = self.plan.replay_events
        return loading(
            server, self.workshop, self.cores, gives_way=True, replayed=number, subscribers=clients
        )


@frozen
class Span:
    """What happened between the ends of two steps."""

    before: Step
    after: Step

    @property
    def events_per_s(self) -> float:
        return (self.after.acknowledged - self.before.acknowledged) / self.after.seconds

    @property
    def server_us_per_event(self) -> float:
        return 1e6 * self.server_seconds / max(1, self.after.acknowledged - self.before.acknowledged)

    @property
    def deliveries(self) -> int:
        return self.after.delivered - self.before.delivered

    @property
    def deliveries_per_s(self) -> float:
        return self.deliveries / self.after.seconds

    @property
    def server_seconds(self) -> float:
        return self.after.server_seconds - self.before.server_seconds

    @property
    def server_us_per_delivery(self) -> float:
        return 1e6 * self.server_seconds / max(1, self.deliveries)

    def busy(self) -> Figures:
        """How much of their cores the server and the load generator used."""
        load_seconds = self.after.load_seconds - self.before.load_seconds
        return {
            "server core": self.server_seconds / self.after.seconds,
            "load core": load_seconds / self.after.seconds,
        }


async def measured(rig: Rig, peer: Peer, measure_s: float, **options: float | str) -> tuple[Span, Ledgers]:
    """A server under one kind of load for `measure_s`, after a while of warming up."""
    phases = {"warm": rig.plan.warm_s, "measure": measure_s}
    async with rig.serving(peer) as server, rig.loading(server, phases, **options) as load:
        await load.step("connected")
        span = Span(await load.step("warm"), await load.step("measure"))
        await load.step("drained")
        return span, await load.ledgers()


async def closed_loop(rig: Rig, peer: Peer, measure_s: float | None = None, **options: float | str) -> Span:
    """The same, for the plan's usual time if no other is given, with every event accounted for."""
    span, ledgers = await measured(rig, peer, measure_s or rig.plan.measure_s, **options)
    if ledgers.missing or ledgers.repeated or ledgers.late:
        raise BenchError(f"not every event came once and in order: {ledgers}")
    if not span.deliveries:
        raise BenchError("nothing was delivered")
    return span


@frozen
class Scenario:
    """A scenario, the units of its figures, and whom it suits."""

    name: str
    measure: Callable[[Rig, Peer], Awaitable[Figures]]
    units: Mapping[str, str]
    suits: Callable[[Peer], bool]

    @property
    def title(self) -> str:
        """One line on what is done."""
        return (self.measure.__doc__ or self.name).splitlines()[0].rstrip(".")


FANOUT_UNITS = {"deliveries/s": "", "server per delivery": "µs", "server core": "%", "load core": "%"}
