"""The one order of events, as this hub sees it: what comes in, how far delivery has come, what was.

Two positions matter. Storage's own head is the newest event it holds; the journal's `head` is the newest
event that has been delivered. Pages stop at the latter, so whoever has read up to it and joins a cohort in
the same step has missed nothing and will get nothing twice.
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
from adohub.plugin.storage import Newest, Page, Storage
from adohub.topics import Selection

T = TypeVar("T")

_position = attrgetter("position")

_log = structlog.get_logger("adohub.journal")


@frozen
class Resumption:
    """Where a returning subscriber goes on: after `position`; `recovered` unless something was missed.

    `seen` is what it is known to have seen already; in a gap that lies before the position, or at the very
    beginning when its id tells nothing.
    """

    position: Position
    recovered: bool
    seen: Position
    partial: bool = False
    """Whether its id is one of a snapshot that it has not seen the end of."""


class Journal:
    """Storage, its inbox and its delivery, as one hub has them."""

    def __init__(self, storage: Storage, metrics: Metrics | None = None) -> None:
        self._storage = storage
        self.metrics = metrics or Metrics()
        self.head: Position = storage.head()
        """The newest delivered event. Moves only in `advance`, in the step that delivers."""
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
        """Wait until the head has reached `position`, which storage holds already."""
        while self.head < position:
            await self._moved.wait()

    # ── back ─────────────────────────────────────────────────────────────────────────────────────────

    def locate(self, event_id: str) -> Resumption:
        """Where a subscriber that has seen `event_id` goes on.

        An id that storage no longer holds, of another epoch, of the future, or that was never an id, is a
        gap: what is left is replayed from its beginning.
        """
        partial = event_id.endswith(PARTIAL)
        position = Position.parse(event_id.removesuffix(PARTIAL))
        tail, newest = self.tail, self._storage.head()
        if position is None or position.epoch != newest.epoch or position > newest:
            return Resumption(tail, recovered=False, seen=Position(tail.epoch, 0))
        if position < tail:
            return Resumption(tail, recovered=False, seen=position)
        return Resumption(position, recovered=True, seen=position, partial=partial)

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

    async def look_back(self, selection: Selection, after: Position, limit: int) -> Page:
        """A page of chosen events after `after`, delivered or not: who has published finds it here."""
        return await self._told(self._storage.read(selection, after, limit))

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        """A page of chosen events after `after`, which ends at the head at the latest."""
        page = await self._told(self._storage.read(selection, after, limit))
        if page.reached <= self.head:
            return page
        events = [event for event in page.events if event.position <= self.head]
        return evolve(page, events=events, reached=max(after, self.head))

    async def latest(self, selections: Iterable[Selection]) -> Sequence[Event]:
        """The newest event of each (topic, key) that any of `selections` chooses, as far as delivered."""
        events: list[Event] = []
        for selection in selections:
            events += (await self._told(self._storage.latest(selection))).events
        return sorted((event for event in events if event.position <= self.head), key=_position)

    async def snapshot(self, selection: Selection) -> Newest:
        """The newest chosen event of each (topic, key), once all of it is delivered."""
        newest = await self._told(self._storage.latest(selection))
        await self.delivered(newest.position)
        return newest

    async def look_at_newest(self, selection: Selection) -> Newest:
        """The same at once, delivered or not: who has published finds it here."""
        return await self._told(self._storage.latest(selection))
