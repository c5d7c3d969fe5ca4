"""The one task that delivers, in storage order.

Law: the head moves only in the synchronous step that also decides who is given what. So there is no
checkpoint between `advance` and the first step of `deliver`; nobody can meet a frame that they have also read
from storage. Others run between the steps that follow, so that a large fan-out holds nobody up; the head does
not move again before the last of them. Where storage begins a new epoch, the head moves to it in the step
that interrupts everybody who is live.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

import structlog
import trio

from adohub.errors import StorageError
from adohub.hub.journal import Journal
from adohub.hub.routes import Routes
from adohub.model import Event, Position

PART_EVENTS = 128
"""The most events that are delivered as one; by then a send costs next to nothing per event."""

PART_BYTES = 128 * 1024
"""How many bytes of payload are delivered as one; a single larger event is a part by itself."""

FOLLOW_AGAIN_S = 1.0
"""How long delivery rests when storage cannot be followed, in seconds."""

SETTLE_TURNS = 3
"""For how many turns of the scheduler nothing must have arrived before what has is delivered.

Measured reason: a burst that arrives together then leaves together, with one send for each subscriber instead
of several. Turns of an idle hub take microseconds.
"""

SETTLE_S = 0.002
"""How long that is waited for, in seconds: under a steady stream something arrives in every turn."""

_log = structlog.get_logger("adohub.pump")


async def pump(journal: Journal, routes: Routes) -> None:
    """Deliver every event that storage yields, for ever: where storage breaks off, it goes on at the head."""
    while True:
        if journal.is_outdated or journal.has_fallen_out:
            _begin_anew(journal, routes)
        complaint = "the engine stopped following"
        try:
            await _deliver(journal, routes)
        except StorageError as error:
            complaint = str(error)
        if not (journal.is_outdated or journal.has_fallen_out):
            _log.warning("storage cannot be followed just now", error=complaint)
            await trio.sleep(FOLLOW_AGAIN_S)


def _begin_anew(journal: Journal, routes: Routes) -> None:
    before = journal.head
    journal.begin_anew()
    routes.interrupt(before)
    _log.warning(
        "storage began anew; subscribers are told of a gap", before=before.epoch, now=journal.head.epoch
    )


async def _deliver(journal: Journal, routes: Routes) -> None:
    async with aclosing(journal.follow()) as batches:
        async for batch in batches:
            for part in _parts(await _settled(journal, batches, batch)):
                before = journal.head
                journal.advance(part)
                accepted_at, given = journal.accepted_at, routes.given
                for _ in routes.deliver(part, before):
                    await trio.lowlevel.checkpoint()
                if accepted_at is not None and routes.given > given:
                    took = trio.current_time() - accepted_at
                    journal.metrics.latency.observe(took, times=routes.given - given)
                await trio.lowlevel.checkpoint()


async def _settled(
    journal: Journal, batches: AsyncIterator[Sequence[Event]], batch: Sequence[Event]
) -> Sequence[Event]:
    """`batch` and what has arrived by the time that the turn has settled."""
    until = trio.current_time() + SETTLE_S
    known, quiet = journal.newest, 0
    while quiet < SETTLE_TURNS and trio.current_time() < until:
        await trio.lowlevel.checkpoint()
        newest = journal.newest
        known, quiet = newest, quiet + 1 if newest == known else 0
    settled = list(batch)
    while settled and len(settled) < PART_EVENTS and _is_before(settled[-1].position, known):
        more = await anext(batches, None)
        if not more:  # the engine has stopped following, which the caller will meet next
            break
        settled += more
    return settled


def _is_before(position: Position, newest: Position) -> bool:
    """Whether storage has more to yield after `position`, without waiting for it."""
    return position.epoch == newest.epoch and position < newest


def _parts(batch: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """`batch` in parts that no socket and no other task need wait long for."""
    part: list[Event] = []
    size = 0
    for event in batch:
        bytes_ = len(event.body) + len(event.notes)
        if part and (len(part) == PART_EVENTS or size + bytes_ > PART_BYTES):
            yield part
            part, size = [], 0
        part.append(event)
        size += bytes_
    if part:
        yield part
