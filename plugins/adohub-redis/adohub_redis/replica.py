"""The log as this hub has it: read once when the hub comes, then followed, and answered from.

Law: what it holds is in the server's log of the same epoch, in the same order, with nothing left out that
comes after its tail. When the server's epoch is another one, a new history takes the place of the old one in
one step, and the old one is given out to its end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import structlog
import trio

from adohub import Event, History, Located, Position, StorageError
from adohub_redis.address import Address
from adohub_redis.entries import Arrived
from adohub_redis.faults import UnreachableError
from adohub_redis.line import Rests
from adohub_redis.link import Link, opened
from adohub_redis.pace import Pace
from adohub_redis.server import Server, Standing

WAIT_S = 1.0
"""How long one read waits for more, in seconds; then the server has shown that it is there."""

STEP_EVENTS = 4096
"""How many events are taken in before others may run."""

AHEAD_EVENTS = 65_536
"""How many events may have been read and not been delivered before no more are read."""

_log = structlog.get_logger("adohub.redis")


Arrive = Callable[[Link], Awaitable[Standing]]
"""Tells the server what this hub knows, and this hub what the server holds (see `Server.arrive`)."""


class Replica:
    """What has been read of the log, answered from by `history`."""

    def __init__(self, server: Server, address: Address, clock: Callable[[], float], arrive: Arrive) -> None:
        self._server = server
        self._address = address
        self._clock = clock
        self._arrive = arrive
        self.history = History(server.settings, "", clock)
        self._standing: Standing | None = None
        """What the server held when it was last asked, in the epoch of the history."""
        self._epoch = ""
        """The server's, as far as this hub has heard."""
        self._has_missed = False
        self._pace = Pace()
        self._following = trio.CancelScope()
        self._progress = trio.Event()
        self.fault = "what is in Redis has not been read yet"
        """Why it does not follow, or did not, in words for an operator."""
        self.lost_at: float | None = trio.current_time()
        """Since when it does not, on trio's clock; None while it does."""

    # ── keeping up ───────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """The task that reads and follows, for ever."""
        rests = Rests()
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    async with opened(nursery, self._address, self._server.keys.tag) as link:
                        await self._begin(link)
                        rests.begin_anew()
                        self.lost_at = None
                        with trio.CancelScope() as self._following:
                            await self._follow(link)
                except (UnreachableError, StorageError) as error:
                    self.fault = str(error)
                    self._pace.slow_down()
                if self.lost_at is None:
                    self.lost_at = trio.current_time()
                await rests.rest()

    def note(self, standing: Standing) -> None:
        """The server holds this; if that is another epoch than is followed, it is read instead."""
        self._epoch = standing.epoch
        if standing.epoch == self.history.epoch:
            self._standing = standing
        else:
            self._following.cancel()

    async def _begin(self, link: Link) -> None:
        """Learn what the server holds, and read it if it is not what this hub has, or has part of."""
        standing = await self._arrive(link)
        if standing.epoch == self.history.epoch and not self._has_missed:
            return
        self.fault = "what is in Redis is being read"
        history = await self._read(link, standing)
        old, self.history, self._standing, self._has_missed = self.history, history, standing, False
        old.close()
        self._tell()
        await self._arrive(link)  # so that nothing goes that comes after what was read

    async def _read(self, link: Link, standing: Standing) -> History:
        """All that the server has.

        Events may come and go meanwhile. What is older than what the stream begins with at the end has gone;
        the newest of a place is then in what was read, or is still to be followed, or lies before that.
        """
        events: list[Arrived] = []
        while page := await self._server.page(link, standing.epoch, _last(events), self._pace.count):
            self._pace.note(page)
            events += page
        first = await self._server.first(link, standing.epoch)
        if first is None:
            first = standing.head + 1
        history = History(self._server.settings, standing.epoch, self._clock, after=first - 1)
        for record, goes_at in await self._server.beyond(link, first):
            ended_at = None if goes_at is None else goes_at - self._server.settings.ended_s
            history.recall(record, ended_at)
        kept = [event for event in events if event.record[0] >= first]
        for start in range(0, len(kept), STEP_EVENTS):
            _add(history, kept[start : start + STEP_EVENTS])
            await trio.lowlevel.checkpoint()
        history.trim(self._clock())
        return history

    async def _follow(self, link: Link) -> None:
        """Take in what comes, as long as it is of the epoch that the server is in."""
        history = self.history
        while self._epoch == history.epoch:
            while history.undelivered > AHEAD_EVENTS:
                await self._progress.wait()
            events = await self._server.following(
                link, history.epoch, history.head().offset, self._pace.count, WAIT_S
            )
            if not events:
                continue
            if not self._follows_on(events):
                await self._arrive(link)  # there may be a hole that this hub has not heard of
                self._has_missed = not self._follows_on(events)
                if self._has_missed:
                    _log.error("this hub was too slow: events went before it had read them")
                    return
            self._pace.note(events)
            _add(history, events)
            history.trim(self._clock())
            history.tell()
            self._tell()

    def _follows_on(self, events: Sequence[Arrived]) -> bool:
        """Whether the first of `events` is the one after the head; nothing else can be, but after a hole."""
        first = events[0].record[0]
        assert self._standing is not None
        before = [first - 1, *(after for after, until in self._standing.holes if until == first - 1)]
        return self.history.head().offset in before

    def _tell(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    # ── answering ────────────────────────────────────────────────────────────────────────────────────

    async def reached(self, position: Position) -> None:
        """Wait until it holds `position`, or another epoch."""
        while position.epoch == self.history.epoch and position > self.history.head():
            await self._progress.wait()

    async def renewed(self, epoch: str = "", *, beyond: str | None = None) -> None:
        """Wait until it holds `epoch` or a later one, or one that is later than `beyond`."""
        while self.history.epoch < epoch or self.history.epoch == beyond:
            await self._progress.wait()

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        """See `adohub.Storage`."""
        async with aclosing(self.history.follow(after)) as batches:
            async for batch in batches:
                yield batch
                self._tell()

    def locate(self, seen: Position) -> Located:
        """See `adohub.Storage`."""
        tail, head = self.history.tail(), self.history.head()
        standing = self._standing
        assert standing is not None, "nobody asks before it has been read"
        if seen.epoch in standing.lineage:
            return Located(Position(head.epoch, min(max(seen.offset, tail.offset), head.offset)), whole=False)
        if seen.epoch == head.epoch:
            for after, until in standing.holes:
                if after < seen.offset <= until:
                    return Located(max(tail, Position(head.epoch, after)), whole=False)
        if seen > head:
            return Located(seen, whole=True, certain=False)
        whole = seen.epoch == head.epoch and seen >= tail
        return Located(seen if whole else tail, whole)


def _last(events: Sequence[Arrived]) -> int:
    return events[-1].record[0] if events else 0


def _add(history: History, events: Sequence[Arrived]) -> None:
    for record, ends, moment, _ in events:
        history.add(record, ends, moment)
