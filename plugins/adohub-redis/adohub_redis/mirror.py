"""Says on the channel what becomes an event, for whoever listens to Redis itself.

Law: each event is said once, in its order, whoever of the hubs says it: Redis publishes the next ones and
notes it in one step. What came from the channel is not said again, and what hubs say is not taken in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog
import trio

from adohub import Position, Publish, StorageError
from adohub_redis import form
from adohub_redis.address import Address
from adohub_redis.entries import Arrived
from adohub_redis.faults import UnreachableError
from adohub_redis.line import Line, Rests
from adohub_redis.link import Link, opened
from adohub_redis.pace import Pace
from adohub_redis.replica import WAIT_S, Replica
from adohub_redis.server import Server
from adohub_redis.turn import Turn

NAME = "redis-mirror"
"""What the source is called."""

STEP_BYTES = 1024 * 1024
"""How many bytes are published in one step, unless the first event alone is longer."""

_log = structlog.get_logger("adohub.redis")


class Mirror:
    """Says what `replica` has, when it is this hub's turn."""

    def __init__(self, server: Server, address: Address, line: Line, replica: Replica) -> None:
        self._server = server
        self._address = address
        self._replica = replica
        self._turn = Turn(server, line, "mirror")
        self._after = replica.history.head()
        """Up to where all has been said, or need not be."""
        self._pace = Pace()
        self._fault = ""

    async def run(self, publish: Publish) -> None:
        """The source; what it tells others is no news to the hub."""
        del publish
        rests = Rests()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._turn.run)
            while True:
                await self._turn.mine()
                try:
                    async with opened(nursery, self._address, self._server.keys.tag) as link:
                        rests.begin_anew()
                        await self._say_all(link)
                except UnreachableError as error:
                    _log.debug("events are not published on the channel", error=str(error))
                except StorageError as error:
                    self._complain(str(error))
                await rests.rest()

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            _log.warning(
                "events are not published on the channel", channel=self._server.keys.channel, error=fault
            )
        self._fault = fault

    async def _say_all(self, link: Link) -> None:
        """Go on where whoever had the turn before has stopped, until it is another's."""
        await self._reach(link, self._after, ())
        while self._turn.is_mine:
            self._after = await self._located(self._after)
            events = await self._server.following(
                link, self._after.epoch, self._after.offset, self._pace.count, WAIT_S
            )
            self._pace.note(events)
            for upto, texts in self._steps(events):
                if not await self._reach(link, upto, texts):
                    break
            self._fault = ""

    async def _reach(self, link: Link, upto: Position, texts: Sequence[bytes]) -> bool:
        """Say `texts`, if they are what comes next; whether they were."""
        reached = await self._server.mirror(link, str(self._after), str(upto), texts)
        self._after = Position.parse(reached) or upto
        return self._after == upto

    async def _located(self, seen: Position) -> Position:
        """Where to go on after `seen`, in the epoch of now."""
        while True:
            position = self._replica.locate(seen).position
            if position.epoch <= self._replica.history.epoch:
                return position
            await self._replica.renewed(position.epoch)

    def _steps(self, events: Sequence[Arrived]) -> Iterator[tuple[Position, Sequence[bytes]]]:
        """What is said in one step each, and the position of the last event of it."""
        texts: list[bytes] = []
        size = 0
        for event in events:
            offset, topic, _, body, *_ = event.record
            if self._is_for_all(event):
                texts.append(form.written(topic, body))
                size += len(texts[-1])
            if size >= STEP_BYTES or event is events[-1]:
                yield Position(self._after.epoch, offset), texts
                texts, size = [], 0

    def _is_for_all(self, event: Arrived) -> bool:
        topic = event.record[1]
        is_state = topic in self._server.settings.state_keys
        return not (event.is_heard or is_state or topic.startswith(form.PRIVATE))
