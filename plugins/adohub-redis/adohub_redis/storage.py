"""The engine as the hub sees it: what is published goes to the server, what is read comes out of the replica.

Law: an append is acknowledged once the server has it and the replica shows it; one whose answer was lost is
sent again under its number, and done once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
import trio

from adohub import (
    Draft,
    Event,
    Located,
    Neighbour,
    Newest,
    Page,
    Position,
    Receipt,
    Selection,
    Source,
    Storage,
    StorageError,
    StorageSettings,
)
from adohub_redis.address import Address
from adohub_redis.channel import Channel
from adohub_redis.faults import UnreachableError
from adohub_redis.intake import Intake
from adohub_redis.keys import Keys
from adohub_redis.line import Line
from adohub_redis.link import ANSWER_S, Link
from adohub_redis.mirror import NAME as MIRROR
from adohub_redis.mirror import Mirror
from adohub_redis.replica import Replica
from adohub_redis.server import HEARD, LEASE_S, Server, Standing
from adohub_redis.tape import Tape

BEAT_S = 1.0
"""How often the hub says that it is there, in seconds."""

TROUBLE_S = 3.0
"""After how long without an answer the hub is not ready, in seconds."""

TIDY_BEATS = 2
"""Every how many beats what is too old or too much is let go of."""

TIDY_STEPS = 100
"""In how many steps at most that is done, each time."""

OPEN_S = 300.0
"""How long reading in may take at the start, in seconds, once the server answers."""

HEAR_S = 1.0
"""How long hearing the channel may take at the start before the hub begins without, in seconds."""

RETRY_S = 0.1
"""How long an append tries at least, in seconds, however long the server has been gone."""

CLOSE_S = 1.0
"""How long saying goodbye may take, in seconds."""

_log = structlog.get_logger("adohub.redis")


class ServerClock:
    """The server's time as far as it is known here, in seconds; `skew` as in Server."""

    def __init__(self, skew: Callable[[], float]) -> None:
        self._skew = skew
        self._ahead = 0.0

    def __call__(self) -> float:
        return trio.current_time() + self._ahead + self._skew()

    def set(self, moment: float) -> None:
        """It is `moment` now, without the skew."""
        self._ahead = moment - trio.current_time()


class RedisStorage:
    """See `adohub.Storage`. `timeout_s`: how long an append waits for a server that is gone, in seconds.

    `replicas`: how many replicas must have what is appended before it is acknowledged. `mirrors`: whether
    events are also published on the channel.
    """

    def __init__(
        self,
        address: Address,
        server: Server,
        clock: ServerClock,
        timeout_s: float,
        replicas: int,
        *,
        mirrors: bool,
    ) -> None:
        self._address = address
        self._server = server
        self._clock = clock
        self._timeout_s = timeout_s
        self._replicas = replicas
        self._mirrors = mirrors
        self._asking = Line(address, server.keys.tag)
        self._appending = Line(address, server.keys.tag)
        self._channel = Channel(server, address, Tape())
        self._replica = Replica(server, address, clock, self._arrive)
        self._one_at_a_time = trio.Lock()
        self._number = 0
        self._hubs: Mapping[str, Neighbour] = {}
        self._delivered = Position("", 0)
        self._heard_at = trio.current_time()
        self._heard = trio.Event()
        self._refusal: str | None = None

    # ── being there ──────────────────────────────────────────────────────────────────────────────────

    async def begin(self, nursery: trio.Nursery) -> None:
        """Start what runs beside, and read in what there is. Raises StorageError if that cannot be done."""
        for task in (self._asking.run, self._appending.run, self._replica.run, self._channel.run):
            nursery.start_soon(task)
        with trio.move_on_after(self._timeout_s) as waiting:
            link = await self._asking.link()
            for warning in await self._inspected(link):
                _log.warning(warning)
        if waiting.cancelled_caught:
            raise StorageError(self._asking.fault)
        with trio.move_on_after(self._timeout_s) as waiting:
            await self._heard.wait()
        if waiting.cancelled_caught:
            raise StorageError(self._replica.fault)
        with trio.move_on_after(OPEN_S) as reading:
            await self._replica.renewed(beyond="")
        if reading.cancelled_caught:
            raise StorageError(self._replica.fault)
        nursery.start_soon(self._beat)
        with trio.move_on_after(HEAR_S):  # else the log says why
            await self._channel.whole()

    async def _inspected(self, link: Link) -> Sequence[str]:
        try:
            return await self._server.inspect(link)
        except UnreachableError as error:
            raise StorageError(str(error)) from error

    async def _beat(self) -> None:
        beats = 0
        while True:
            given = self._replica.history.given
            self._refusal = await self._refused(self._arrive)
            self._delivered = given
            if beats % TIDY_BEATS == 0:  # also where there is no room for what `arrive` writes
                await self._refused(self._tidy)
            beats += 1
            await trio.sleep(BEAT_S)

    async def _refused(self, asking: Callable[[Link], Awaitable[object]]) -> str | None:
        """What the server has against it. Where it cannot be asked, the line says why."""
        try:
            await asking(await self._asking.link())
        except UnreachableError:
            return self._refusal
        except StorageError as error:
            return str(error)
        return None

    async def _tidy(self, link: Link) -> None:
        for _ in range(TIDY_STEPS):
            if not await self._server.tidy(link):
                return

    async def _arrive(self, link: Link, lease_s: float = LEASE_S) -> Standing:
        """Say that this hub is there, and learn what the server holds."""
        held = self._replica.history.head()
        given = self._replica.history.given
        delivered = self._delivered if self._delivered.epoch == held.epoch else given
        standing = await self._server.arrive(link, held, delivered, lease_s)
        self._heard.set()
        self._clock.set(standing.moment)
        self._hubs = standing.hubs
        self._heard_at = trio.current_time()
        self._replica.note(standing)
        return standing

    async def end(self) -> None:
        """Say that this hub is gone, if there is somebody to say it to."""
        with trio.move_on_after(CLOSE_S, shield=True):
            try:
                await self._arrive(await self._asking.link(), lease_s=0.0)
            except (UnreachableError, StorageError) as error:
                _log.info("Redis was not told that this hub ends", error=str(error))

    def hubs(self) -> Mapping[str, Neighbour]:
        own = Neighbour(alive=True, delivered=self._delivered)
        return {**self._hubs, self._server.settings.instance: own}

    def sources(self) -> Sequence[Source]:
        intake = Intake(self._server, self._asking, self._channel)
        sources = [Source(HEARD, intake.run)]
        if self._mirrors:
            mirror = Mirror(self._server, self._address, self._asking, self._replica)
            sources.append(Source(MIRROR, mirror.run))
        return sources

    def trouble(self) -> str | None:
        if self._refusal is not None:
            return self._refusal
        patience = trio.current_time() - TROUBLE_S
        if self._heard_at < patience:
            return self._asking.fault
        if self._replica.lost_at is not None and self._replica.lost_at < patience:
            return self._replica.fault
        return None

    async def check(self) -> None:
        with trio.move_on_after(ANSWER_S):
            try:
                await self._arrive(await self._asking.link())
                link = await self._appending.link()
                if self._replicas:
                    await self._arrive(link)  # a write, for the replicas to have
                    await self._replicated(link, ANSWER_S / 2)
                return
            except UnreachableError as error:
                raise StorageError(str(error)) from error
        raise StorageError(self._asking.fault)

    # ── append ───────────────────────────────────────────────────────────────────────────────────────

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        async with self._one_at_a_time:
            self._number += 1
            with trio.move_on_at(self._deadline()) as waiting:
                return await self._append(drafts, waiting)
        raise StorageError(
            f"{self._appending.fault}: publishing was given up after"
            f" {1000 * self._timeout_s:.0f} ms; it may have been kept all the same"
        )

    def _deadline(self) -> float:
        """Until when an append is tried: a server that has been gone for long is not waited for again."""
        now, lost_at = trio.current_time(), self._appending.lost_at
        return max(now + RETRY_S, (now if lost_at is None else lost_at) + self._timeout_s)

    async def _append(self, drafts: Sequence[Draft], waiting: trio.CancelScope) -> Sequence[Receipt]:
        while True:
            link = await self._appending.link()
            epoch = self._replica.history.epoch
            try:
                receipts = await self._server.append(link, epoch, self._number, drafts, self._timeout_s)
                if receipts is None:
                    await self._replica.renewed((await self._arrive(link)).epoch)
                    continue
                await self._replicated(link, waiting.deadline - trio.current_time())
            except UnreachableError as error:
                self._appending.fault = str(error)
                continue
            kept = [one.position for one in receipts if not (one.rejected or one.repeated)]
            if kept:
                await self._replica.reached(kept[-1])
            return receipts

    async def _replicated(self, link: Link, within_s: float) -> None:
        """Wait until enough replicas have what was written over `link`. Raises StorageError."""
        if not self._replicas:
            return
        patience = int(1000 * max(0.001, within_s - RETRY_S))
        number = await link.request("WAIT", self._replicas, patience, within_s=within_s + ANSWER_S)
        if number < self._replicas:
            raise StorageError(
                f"Redis at {link.endpoint} has it, but only {number} of {self._replicas} replicas have:"
                " it may be lost if that server is"
            )

    # ── read ─────────────────────────────────────────────────────────────────────────────────────────

    def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        return self._replica.follow(after)

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        return await self._replica.history.read(selection, after, limit)

    async def latest(self, selection: Selection) -> Newest:
        return await self._replica.history.latest(selection)

    def head(self) -> Position:
        return self._replica.history.head()

    def tail(self) -> Position:
        return self._replica.history.tail()

    def locate(self, seen: Position) -> Located:
        return self._replica.locate(seen)

    async def confirm(self, seen: Position) -> Located:
        with trio.move_on_after(self._timeout_s):
            while True:
                try:
                    standing = await self._arrive(await self._asking.link())
                except UnreachableError:
                    continue
                await self._replica.renewed(standing.epoch)
                if standing.holds(seen):
                    await self._replica.reached(seen)
                located = self.locate(seen)
                return located if located.certain else Located(self.tail(), whole=False)
        raise StorageError(self._asking.fault)


@asynccontextmanager
async def open_redis(
    settings: StorageSettings, skew: Callable[[], float] = lambda: 0.0, *, mirror: bool = False
) -> AsyncIterator[Storage]:
    """The storage in the Redis of the engine's table. Raises StorageError: it cannot be used.

    `mirror`: also publish each event on the channel.
    """
    table = settings.table
    address = Address.parse(table["url"])
    clock = ServerClock(skew)
    server = Server(Keys(table["prefix"]), settings, skew)
    timeout_s, replicas = table["publish_timeout_ms"] / 1000, table["wait_replicas"]
    storage = RedisStorage(address, server, clock, timeout_s, replicas, mirrors=mirror)
    failure: StorageError | None = None
    async with trio.open_nursery() as nursery:
        try:
            await storage.begin(nursery)
        except StorageError as error:
            failure = error
        else:
            yield storage
            await storage.end()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
