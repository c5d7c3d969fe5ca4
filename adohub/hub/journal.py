"""The one order of events, as this hub sees it: what comes in, how far delivery has come, what was.

Two positions matter. Storage's own head is the newest event it holds; the journal's `head` is the newest
event that has been delivered. Pages stop at the latter, so whoever has read up to it and joins a cohort in
the same step has missed nothing and will get nothing twice.

Storage may begin a new epoch at any time, and the head follows once what was before it is delivered. What is
read for delivery waits for that, so that it and the head are of one epoch when it is there; positions of
another epoch than the head's are to be located anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

import structlog
import trio
from attrs import evolve, frozen

from adohub.errors import StorageError
from adohub.hub.inbox import Inbox
from adohub.hub.recent import Recent
from adohub.hub.trouble import Trouble
from adohub.metrics import Metrics
from adohub.model import PARTIAL, Draft, Event, Position
from adohub.plugin.contracts import Submission
from adohub.plugin.storage import Located, Newest, Page, Storage
from adohub.topics import Selection

T = TypeVar("T")

_position = attrgetter("position")

_log = structlog.get_logger("adohub.journal")


@frozen
class Resumption:
    """Where a returning subscriber goes on: after `position`; `recovered` unless something was missed."""

    position: Position
    recovered: bool
    seen: Position
    """What it has seen, perhaps in an earlier epoch; the very beginning when its id tells nothing."""
    lost_after: Position
    """History has let go of what lies between this and the position.

    Nothing does where it is other than was seen: what storage has up to the position has been seen.
    """
    partial: bool = False
    """Whether its id is one of a snapshot that it has not seen the end of."""
    certain: bool = True
    """If not, another hub gave the id, and `Journal.confirmed` finds out whether it has recovered."""


class Journal:
    """Storage, its inbox and its delivery, as one hub has them."""

    def __init__(self, storage: Storage, metrics: Metrics | None = None) -> None:
        self._storage = storage
        self.metrics = metrics or Metrics()
        self.head: Position = storage.head()
        """The newest delivered event.

        Moves only in `advance`, in the step that delivers, and in `begin_anew`, in the step that interrupts.
        """
        self._moved = trio.Event()
        self._trouble = Trouble(storage)
        self._inbox = Inbox(storage, self._trouble, self.metrics, self.head)
        self._recent = Recent(self.head)
        self._unreadable: str | None = None

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, drafts: Sequence[Draft]) -> Submission:
        """Put `drafts` in line for storage, all or none. Raises PeerError when too much is waiting."""
        return self._inbox.submit(drafts)

    async def keep(self) -> None:
        """The task that gives storage what was submitted."""
        await self._inbox.keep()

    async def recover(self) -> None:
        """The task that finds out whether storage takes something, though nobody may be publishing."""
        await self._trouble.watch()

    async def flushed(self) -> None:
        """Wait until everything that has been submitted is in storage, or refused by it."""
        await self._inbox.flushed()

    @property
    def trouble(self) -> str | None:
        """Why storage takes nothing just now, in words for an operator; None while it does."""
        return self._trouble.reason

    @property
    def is_busy(self) -> bool:
        """Whether anything that was published here is not in storage yet, or not delivered."""
        return self._inbox.is_busy

    async def quiet(self) -> None:
        """Wait for a moment in which it is not busy."""
        await self._inbox.quiet()

    # ── delivery ─────────────────────────────────────────────────────────────────────────────────────

    def follow(self) -> AsyncGenerator[Sequence[Event], None]:
        """What the pump delivers: every event after the head, in batches of what has gathered."""
        return self._storage.follow(self.head)

    def advance(self, batch: Sequence[Event]) -> None:
        """Move the head over `batch`. The caller delivers it in the same step, with no checkpoint between."""
        self._recent.add(batch)
        for topic, number in Counter([event.topic for event in batch]).items():
            self.metrics.events.add(topic, number)
        self._move(batch[-1].position)

    @property
    def is_outdated(self) -> bool:
        """Whether storage has begun a new epoch, and the head is still of an earlier one."""
        return self.head.epoch != self._storage.head().epoch

    @property
    def has_fallen_out(self) -> bool:
        """Whether storage has let go of events that it has yet to yield to who follows it from here."""
        tail = self._storage.tail()
        return self.head.epoch == tail.epoch and self.head < tail

    def begin_anew(self) -> None:
        """Move the head to where it is in storage's new epoch, or to what storage still has.

        The caller interrupts who is live in the same step. What was submitted still waits for storage.
        """
        head = min(self._storage.locate(self.head).position, self.newest)
        self._recent = Recent(head)
        self._move(head)

    def _move(self, head: Position) -> None:
        self.head = head
        self._inbox.delivered(head)
        self._moved.set()
        self._moved = trio.Event()

    @property
    def accepted_at(self) -> float | None:
        """When the oldest batch whose end the last `advance` has passed was accepted, on trio's clock.

        None if it passed the end of none that was appended here.
        """
        return self._inbox.accepted_at

    async def delivered(self, position: Position) -> None:
        """Wait until the head has reached `position`, which storage holds already, or a later epoch."""
        while self.head < position:
            await self._moved.wait()

    # ── back ─────────────────────────────────────────────────────────────────────────────────────────

    def locate(self, event_id: str) -> Resumption:
        """Where a subscriber that has seen `event_id` goes on.

        An id that storage no longer holds, of another epoch, of the future, or that was never an id, is a
        gap: what is left is replayed from its beginning, or from where it was in an epoch before this one.
        """
        partial = event_id.endswith(PARTIAL)
        seen = Position.parse(event_id.removesuffix(PARTIAL))
        if seen is None:
            tail = self.tail
            beginning = Position(tail.epoch, 0)
            return Resumption(tail, recovered=False, seen=beginning, lost_after=beginning)
        located = self._storage.locate(seen)
        if not located.certain:
            return Resumption(
                seen, recovered=True, seen=seen, lost_after=seen, partial=partial, certain=False
            )
        return self._resumption(seen, located, partial=partial)

    async def confirmed(self, resumption: Resumption) -> Resumption:
        """The same for certain, which may take asking other hubs. Raises StorageError."""
        located = await self._agreed(self._storage.confirm(resumption.seen))
        return self._resumption(resumption.seen, located, partial=resumption.partial)

    def relocate(self, position: Position) -> Resumption:
        """Where a subscriber goes on whose `position` is of an epoch that is over: that is always a gap."""
        return evolve(self._resumption(position, self._storage.locate(position)), recovered=False)

    def _resumption(self, seen: Position, located: Located, *, partial: bool = False) -> Resumption:
        """`located`, but not beyond what there is; and there is what the pump has in its hands."""
        position, whole = min(located.position, self.newest), located.whole
        if not whole and position == self._storage.tail():
            position = self.tail
            whole = seen == position
        beginning = Position(position.epoch, 0)
        known = seen if seen <= position else beginning
        if known is seen and seen.epoch == position.epoch:
            lost_after = seen
        elif position > self.tail or (known is seen and located.position.offset == seen.offset):
            lost_after = position
        else:
            lost_after = beginning
        return Resumption(position, whole, known, lost_after, partial=whole and partial)

    @property
    def newest(self) -> Position:
        """The newest event that storage holds, delivered or not."""
        return self._storage.head()

    @property
    def tail(self) -> Position:
        """The position just before the oldest event that can be read back, or that will be delivered.

        Storage may let go of what the pump has in its hands: never is it beyond the head.
        """
        tail = self._storage.tail()
        return min(tail, self.head) if tail.epoch == self.head.epoch else tail

    def remembers(self, after: Position) -> bool:
        """Whether memory has all that was delivered after `after`."""
        return self._recent.covers(after)

    def recent(self, selection: Selection, after: Position) -> Page | None:
        """The chosen events from `after` to the head out of memory, or None if memory begins later."""
        return self._recent.page(selection, after)

    async def _told(self, reading: Awaitable[T]) -> T:
        """What storage answers; the log is told when it begins to answer nothing, not each time."""
        try:
            answer = await reading
        except StorageError as error:
            if str(error) != self._unreadable:
                _log.error("storage cannot be read", error=str(error))
            self._unreadable = str(error)
            raise
        self._unreadable = None
        return answer

    async def _agreed(self, reading: Awaitable[T]) -> T:
        """What storage answers, in a step in which the head is of storage's epoch."""
        answer = await self._told(reading)
        while self.is_outdated:
            await self._moved.wait()
        return answer

    async def look_back(self, selection: Selection, after: Position, limit: int) -> Page:
        """A page of chosen events after `after`, delivered or not: who has published finds it here."""
        return await self._told(self._storage.read(selection, after, limit))

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        """A page of chosen events after `after`, which ends at the head at the latest.

        It is empty, and comes nowhere, if `after` is of another epoch than the head by the time it is read.
        """
        page = await self._agreed(self._storage.read(selection, after, limit))
        if after.epoch != self.head.epoch:
            return Page((), after, more=True)
        if page.reached <= self.head:
            return page
        events = [event for event in page.events if event.position <= self.head]
        return evolve(page, events=events, reached=max(after, self.head))

    async def latest(self, selections: Iterable[Selection]) -> Sequence[Event]:
        """The newest event of each (topic, key) that any of `selections` chooses, as far as delivered.

        It tells nothing if the head is of another epoch now than when it was asked for.
        """
        events: list[Event] = []
        for selection in selections:
            events += (await self._agreed(self._storage.latest(selection))).events
        return sorted((event for event in events if event.position <= self.head), key=_position)

    async def snapshot(self, selection: Selection) -> Newest:
        """The newest chosen event of each (topic, key), once all of it is delivered."""
        while True:
            newest = await self._agreed(self._storage.latest(selection))
            await self.delivered(newest.position)
            if newest.position.epoch == self.head.epoch:
                return newest

    async def look_at_newest(self, selection: Selection) -> Newest:
        """The same at once, delivered or not: who has published finds it here."""
        return await self._told(self._storage.latest(selection))
