"""The queue between the command and the hub: bounded, in order, each event once, nothing dropped.

A full spool makes `append` wait; whoever appends stops reading the command's output, and so the command
itself is paused. One task sends, batch after batch, and an event leaves the queue only when the hub has it
or refused it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol
from uuid import uuid4

import orjson
import trio
from attrs import frozen

from adohub.errors import PeerError

SPOOL_EVENTS = 10_000
"""How many events the spool holds."""

SPOOL_BYTES = 16 * 1024 * 1024
"""How many bytes of JSON the spool holds; one event is always taken."""

BATCH_EVENTS = 256
"""How many events are sent at once."""

BATCH_BYTES = 256 * 1024
"""How many bytes of JSON are sent at once; one event is always sent."""

RETRY_S = 1.0
"""How long to wait, in seconds, when the hub cannot take events just now."""

_PASSING = frozenset({"SERVICE_UNAVAILABLE", "TOO_MANY_REQUESTS", "TIMEOUT"})


class Publisher(Protocol):
    """What the spool needs of a client."""

    async def publish_many(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns when the hub has them, over however many connections; raises PeerError."""
        ...


@frozen
class _Entry:
    event: Mapping[str, Any]
    size: int


class Spool:
    """Events on their way to the hub. `send` must run beside whoever appends."""

    def __init__(
        self,
        publisher: Publisher,
        complain: Callable[[str], None],
        *,
        max_events: int = SPOOL_EVENTS,
        max_bytes: int = SPOOL_BYTES,
    ) -> None:
        self._publisher = publisher
        self._complain = complain
        self._complaints: set[str] = set()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._turn = trio.StrictFIFOLock()
        self._changed = trio.Condition()

    @property
    def undelivered(self) -> int:
        """How many events the hub does not have yet."""
        return len(self._entries)

    async def append(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Queues one event, after all that were appended before, waiting while the spool is full."""
        size = len(orjson.dumps(payload))
        event = {"topic": topic, "payload": payload, "idempotencyKey": uuid4().hex}
        async with self._turn, self._changed:
            while not self._fits(size):
                await self._changed.wait()
            self._entries.append(_Entry(event, size))
            self._bytes += size
            self._changed.notify_all()

    async def drain(self) -> None:
        """Waits until the hub has answered for every event."""
        async with self._changed:
            while self._entries:
                await self._changed.wait()

    async def send(self) -> None:
        """Sends for ever."""
        while True:
            async with self._changed:
                while not self._entries:
                    await self._changed.wait()
                batch = self._next_batch()
            await self._deliver(batch)
            async with self._changed:
                for entry in batch:
                    self._entries.popleft()
                    self._bytes -= entry.size
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        room_for_it = len(self._entries) < self._max_events and self._bytes + size <= self._max_bytes
        return room_for_it or not self._entries

    def _next_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        total = 0
        for entry in islice(self._entries, BATCH_EVENTS):
            total += entry.size
            if batch and total > BATCH_BYTES:
                break
            batch.append(entry)
        return batch

    async def _deliver(self, batch: Sequence[_Entry]) -> None:
        """Returns when the hub has, or has refused, each event.

        The hub takes all of a batch or none, so a refused batch is sent again event by event.
        """
        refusal = await self._publish(batch)
        if refusal is None:
            return
        if len(batch) > 1:
            for entry in batch:
                await self._deliver([entry])
        elif (complaint := f"the hub refused an event: {refusal.message}") not in self._complaints:
            self._complaints.add(complaint)
            self._complain(complaint)

    async def _publish(self, batch: Sequence[_Entry]) -> PeerError | None:
        while True:
            try:
                await self._publisher.publish_many([entry.event for entry in batch])
            except PeerError as refusal:
                if refusal.code not in _PASSING:
                    return refusal
                await trio.sleep(RETRY_S)
            else:
                return None
