"""A publisher that always has some publishes in flight, and remembers of each how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import trio
import trio_websocket
from attrs import define, field

from tests.running import Peer, Refused, open_peer, progress, request

IN_FLIGHT = 64
"""How many publishes are on their way at a time."""

TOPIC = "task.progress"


@define(eq=False)
class Publisher:
    """Publishes the serial numbers 0, 1, 2 … as `task.progress` of `task`, each as its event's message.

    `acknowledged` maps those that the hub has acknowledged to their events' ids. Of others that were sent
    before a connection broke nobody knows.
    """

    task: str
    acknowledged: dict[int, str] = field(factory=dict, init=False)
    _serials: Iterator[int] = field(factory=count, init=False)
    _progress: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def publish_until_it_breaks(self, url: str) -> None:
        """Publish on one connection at full speed, until that is closed. Raises Refused."""
        async with open_peer(url) as peer:
            try:
                for _ in range(IN_FLIGHT):
                    await self._publish_next(peer)
                while True:
                    self._note(await peer.hear())
                    await self._publish_next(peer)
            except trio_websocket.ConnectionClosed:
                return

    async def until_acknowledged(self, more: int) -> None:
        """Return once `more` than now are acknowledged."""
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            await self._progress.park()

    async def _publish_next(self, peer: Peer) -> None:
        serial = next(self._serials)
        event = {"topic": TOPIC, "payload": progress(self.task, 1, str(serial))}
        await peer.tell(request(serial, "mutation", "events.publish", event))

    def _note(self, answer: dict[str, object]) -> None:
        match answer:
            case {"id": int(serial), "result": {"data": {"id": str(event_id)}}}:
                self.acknowledged[serial] = event_id
                self._progress.unpark_all()
            case {"error": dict(shape)}:
                raise Refused(shape)
