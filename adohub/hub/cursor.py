"""One subscription's life: replay, join, fall behind, replay, leave.

    replaying --reaches the head--> live --its socket is full--> replaying …
        |                            |
        +-- completed, or the peer leaves: over

Law: between "position == head" and joining the cohort there is no checkpoint. Pages end at the head, so a
cursor that joins there has been given every event before it, and its cohort gives it every one after.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from enum import Enum, auto
from typing import Protocol

import trio

from adohub.errors import Goodbye
from adohub.hub.cohort import Interest, Push
from adohub.hub.journal import Journal, Resumption
from adohub.hub.routes import Routes
from adohub.model import Event, OnSlow, Position, Replay
from adohub.wire.encode import data_body, data_prefix, encode
from adohub.wire.frame import text_frame
from adohub.wire.messages import Stopped

PAGE_EVENTS = 256
"""How many events one read of a replay asks for."""

CHUNK_BYTES = 32 * 1024
"""How much of a replay is handed to a socket at a time."""

CLOSE_TRY_AGAIN = 1013


class Subscriber(Protocol):
    """The connection that a cursor serves, as far as the hub needs to know it."""

    @property
    def push(self) -> Push:
        """Takes some whole frames, or nothing: False when the connection has no room."""
        ...

    async def room(self) -> None:
        """Wait until there is room again."""
        ...

    def start(self, replay: Callable[[], Awaitable[None]]) -> None:
        """Run `replay` in a task that ends with the connection."""
        ...

    def completed(self) -> None:
        """The subscription is over, and its `stopped` has been pushed."""
        ...

    def drop(self, goodbye: Goodbye) -> None:
        """Close the whole connection."""
        ...


class _State(Enum):
    REPLAYING = auto()
    LIVE = auto()
    OVER = auto()


class Cursor:
    """Where one subscription stands in the order of events, and how it goes on from there."""

    __slots__ = (
        "_ends_at_head",
        "_interest",
        "_journal",
        "_on_slow",
        "_position",
        "_routes",
        "_state",
        "_subscriber",
    )

    def __init__(
        self, journal: Journal, routes: Routes, subscriber: Subscriber, interest: Interest, on_slow: OnSlow
    ) -> None:
        self._journal = journal
        self._routes = routes
        self._subscriber = subscriber
        self._interest = interest
        self._on_slow: OnSlow = on_slow
        self._position = journal.head
        self._ends_at_head = False
        self._state = _State.REPLAYING

    # ── beginning ────────────────────────────────────────────────────────────────────────────────────

    def begin(self, replay: Replay) -> None:
        """A fresh subscription: joins at once if there is nothing to look up first."""
        self._position = self._journal.head
        if replay == "none" and self._interest.completes_on is None:
            self._join()
        else:
            self._subscriber.start(lambda: self._begin(replay))

    def resume(self, resumption: Resumption) -> None:
        """A returning subscription: goes on where `resumption` says."""
        self._position = resumption.position
        self._subscriber.start(lambda: self._resume(resumption.seen))

    async def _begin(self, replay: Replay) -> None:
        latest = await self._journal.latest(self._interest.reading)
        if replay == "all":
            self._position = self._journal.tail
        newest = self._not_replayed(latest)
        if replay != "none":
            await self._show(newest)
        await self._replay()

    async def _resume(self, seen: Position) -> None:
        await self._journal.delivered(self._position)
        if seen < self._position or self._interest.completes_on is not None:
            newest = self._not_replayed(await self._journal.latest(self._interest.reading))
            await self._show([event for event in newest if event.position > seen])
        await self._replay()

    def _not_replayed(self, latest: Sequence[Event]) -> Sequence[Event]:
        """Those of `latest` up to the position; notes whether one of them has ended the subscription already.

        The replay, which begins at the position, will come to the others.
        """
        newest = [event for event in latest if event.position <= self._position]
        self._ends_at_head = any(map(self._interest.completed_by, newest))
        return newest

    # ── replaying ────────────────────────────────────────────────────────────────────────────────────

    async def _replay(self) -> None:
        while self._state is _State.REPLAYING:
            begun = self._position
            await self._subscriber.room()
            page = self._journal.recent(self._interest.reading, self._position)
            if page is None:
                self._note_gap()
                page = await self._journal.read(self._interest.reading, self._position, PAGE_EVENTS)
            if await self._give(page.events):
                self._position = max(self._position, page.reached)
            # No checkpoint from here to the join: the head is what it is now.
            if not self._is_over() and self._position == self._journal.head:
                self._end() if self._ends_at_head else self._join()
            elif self._position == begun:
                await trio.lowlevel.checkpoint()

    def _note_gap(self) -> None:
        """Count it if what comes after the position is no longer all there, and go on with what is."""
        tail = self._journal.tail
        if self._position.epoch == tail.epoch and self._position < tail:
            self._journal.metrics.gaps += 1
            self._position = tail

    async def _skip_to_latest(self) -> None:
        """Give only the newest event per topic and key of what was missed, then replay the little since."""
        given = False
        while not given and not self._is_over():
            await self._subscriber.room()
            begun = self._journal.head
            latest = await self._journal.latest(self._interest.reading)
            given = await self._give([event for event in latest if self._position < event.position <= begun])
            if given:
                self._position = begun
        await self._replay()

    async def _give(self, events: Sequence[Event]) -> bool:
        """Push `events`, as there is room, and move the position over them; False if that came to an end."""
        for last, frames, messages, completes in self._chunks(events):
            if frames:
                await self._subscriber.room()
            if self._is_over() or (frames and not self._subscriber.push(frames)):
                return False
            self._journal.metrics.messages_out += messages
            self._position = last
            if completes:
                self._over()
        return True

    async def _show(self, events: Sequence[Event]) -> None:
        """Push the shown ones of `events`, which all lie before the position, however long it takes."""
        shown = [event for event in events if self._interest.selection.chooses(event)]
        for _, frames, messages, _ in self._chunks(shown, completing=False):
            while not self._is_over() and not self._subscriber.push(frames):
                await self._subscriber.room()
            self._journal.metrics.messages_out += messages

    def _chunks(
        self, events: Sequence[Event], *, completing: bool = True
    ) -> Iterator[tuple[Position, bytes, int, bool]]:
        """`events`, some kilobytes at a time: last position, frames, how many, whether the last completes."""
        prefix = data_prefix(self._interest.tag)
        frames: list[bytes] = []
        size = 0
        for number, event in enumerate(events, start=1):
            if self._interest.selection.chooses(event):
                frames.append(text_frame(prefix + data_body(event, self._interest.view)))
                size += len(frames[-1])
            completes = completing and self._interest.completed_by(event)
            if completes:
                frames.append(self._stopped())
            if size >= CHUNK_BYTES or completes or number == len(events):
                yield event.position, b"".join(frames), len(frames), completes
                frames, size = [], 0
            if completes:
                return

    # ── living and ending ────────────────────────────────────────────────────────────────────────────

    def _join(self) -> None:
        self._state = _State.LIVE
        self._routes.join(self._interest, self, self._subscriber.push)

    def fall_behind(self, position: Position) -> None:
        """The socket is full. Everything up to `position` has been given; the rest waits in storage."""
        self._state = _State.REPLAYING
        self._position = position
        self._journal.metrics.slow_consumers += 1
        if self._on_slow == "disconnect":
            self._subscriber.drop(Goodbye(CLOSE_TRY_AGAIN, "too slow; reconnect to resume"))
        elif self._on_slow == "latest":
            self._subscriber.start(self._skip_to_latest)
        else:
            self._subscriber.start(self._replay)

    def complete(self) -> None:
        """The cohort has pushed the last data and `stopped`."""
        self._over()

    def leave(self) -> None:
        """The peer stopped the subscription, or is gone."""
        if self._state is _State.LIVE:
            self._routes.leave(self._interest, self)
        self._state = _State.OVER

    def _end(self) -> None:
        """Complete without a completing event of its own: that one lies before the position."""
        if self._subscriber.push(self._stopped()):
            self._over()

    def _over(self) -> None:
        self._state = _State.OVER
        self._subscriber.completed()

    def _is_over(self) -> bool:
        return self._state is _State.OVER

    def _stopped(self) -> bytes:
        return text_frame(encode(Stopped(self._interest.tag)))
