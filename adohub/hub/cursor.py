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
from adohub.wire.encode import View, data_body, data_prefix, encode
from adohub.wire.frame import text_frame
from adohub.wire.messages import Stopped

PAGE_EVENTS = 256
"""How many events one read of a replay asks for."""

CHUNK_BYTES = 32 * 1024
"""How much of a replay is handed to a socket at a time."""

ENVELOPE_BYTES = 100
"""By how much a message is longer than its payload, about."""

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
        "_owes_synced",
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
        self._owes_synced = False
        self._state = _State.REPLAYING

    # ── beginning ────────────────────────────────────────────────────────────────────────────────────

    def begin(self, replay: Replay) -> None:
        """A fresh subscription: joins at once if there is nothing to look up first."""
        self._position = self._journal.head
        if self._interest.synced is not None:
            self._subscriber.start(lambda: self._begin_with_snapshot(None))
        elif replay == "none" and self._interest.completes_on is None:
            self._join()
        else:
            self._subscriber.start(lambda: self._begin(replay))

    def resume(self, resumption: Resumption) -> None:
        """A returning subscription: goes on where `resumption` says."""
        self._position = resumption.position
        if self._interest.synced is None:
            self._subscriber.start(lambda: self._resume(resumption.seen))
        elif resumption.recovered:
            self._owes_synced = resumption.partial
            self._subscriber.start(self._replay)
        else:
            self._subscriber.start(lambda: self._begin_with_snapshot(resumption.seen))

    async def _begin(self, replay: Replay) -> None:
        latest = await self._journal.latest(self._interest.newest)
        if replay == "all":
            self._position = self._journal.tail
        newest = self._not_replayed(latest)
        if replay != "none":
            await self._show(self._interest.selection.choose(newest), self._interest.view)
        await self._replay()

    async def _resume(self, seen: Position) -> None:
        await self._journal.delivered(self._position)
        if seen < self._position or self._interest.completes_on is not None:
            newest = self._not_replayed(await self._journal.latest(self._interest.newest))
            missed = [event for event in newest if event.position > seen]
            await self._show(self._interest.selection.choose(missed), self._interest.view)
        await self._replay()

    def _not_replayed(self, latest: Sequence[Event]) -> Sequence[Event]:
        """Those of `latest` up to the position; notes whether one of them has ended the subscription already.

        The replay, which begins at the position, will come to the others.
        """
        newest = [event for event in latest if event.position <= self._position]
        self._ends_at_head = any(map(self._interest.completed_by, newest))
        return newest

    async def _begin_with_snapshot(self, seen: Position | None) -> None:
        await self._snapshot(seen)
        await self._replay()

    async def _snapshot(self, seen: Position | None) -> None:
        """Show what is newest of every key, and then that this was all of it.

        What has ended is shown to whoever may know it from before, having `seen` what was up to there.
        """
        newest = await self._journal.snapshot(self._interest.reading)
        self._position = newest.position
        shown = [
            event
            for event in newest.events
            if event.position not in newest.ended or (seen is not None and event.position > seen)
        ]
        await self._show(shown, self._interest.view._replace(partial=True))
        await self._sync()

    async def _sync(self) -> None:
        """Say that there is no more to the snapshot: what follows are changes."""
        self._owes_synced = False
        if self._interest.synced is not None:
            await self._show(
                [Event(self._position, "", None, self._interest.synced, "")], self._interest.view
            )

    # ── replaying ────────────────────────────────────────────────────────────────────────────────────

    async def _replay(self) -> None:
        while self._state is _State.REPLAYING:
            begun = self._position
            await self._subscriber.room()
            page = self._journal.recent(self._interest.reading, self._position)
            if page is None:
                if self._has_gap() and self._interest.synced is not None:
                    await self._snapshot(begun)
                    continue
                page = await self._journal.read(self._interest.reading, self._position, PAGE_EVENTS)
            if await self._give(page.events):
                self._position = max(self._position, page.reached)
            # No checkpoint from here to the join: the head is what it is now.
            if self._is_over() or self._position != self._journal.head:
                if self._position == begun:
                    await trio.lowlevel.checkpoint()
            elif self._owes_synced:
                await self._sync()
            else:
                self._end() if self._ends_at_head else self._join()

    def _has_gap(self) -> bool:
        """Whether what comes after the position is no longer all there: counted, and gone on with what is."""
        tail = self._journal.tail
        if self._position.epoch != tail.epoch or self._position >= tail:
            return False
        self._journal.metrics.gaps += 1
        self._position = tail
        return True

    async def _skip_to_latest(self) -> None:
        """Give only the newest event per topic and key of what was missed, then replay the little since."""
        given = False
        while not given and not self._is_over():
            await self._subscriber.room()
            begun = self._journal.head
            latest = await self._journal.latest(self._interest.newest)
            given = await self._give([event for event in latest if self._position < event.position <= begun])
            if given:
                self._position = begun
        await self._replay()

    async def _give(self, events: Sequence[Event]) -> bool:
        """Push `events`, as there is room, and move the position over them; False if that came to an end."""
        for piece in _pieces(events):
            frames, messages, last, completes = self._framed(piece)
            if frames:
                await self._subscriber.room()
            if self._is_over() or (frames and not self._subscriber.push(frames)):
                return False
            self._journal.metrics.messages_out += messages
            self._position = last
            if completes:
                self._over()
        return True

    def _framed(self, events: Sequence[Event]) -> tuple[bytes, int, Position, bool]:
        """`events` as far as the one that completes: frames, how many, the last position, whether it does."""
        interest = self._interest
        end = None
        if interest.completes_on is not None:
            end = next((at for at, event in enumerate(events) if interest.completed_by(event)), None)
            events = events if end is None else events[: end + 1]
        shown = events if interest.shows_all else interest.selection.choose(events)
        frames, last = self._frames(shown, interest.view), events[-1].position
        if end is None:
            return frames, len(shown), last, False
        return frames + self._stopped(), len(shown) + 1, last, True

    def _frames(self, events: Sequence[Event], view: View) -> bytes:
        prefix = data_prefix(self._interest.tag)
        return b"".join([text_frame(prefix + data_body(event, view)) for event in events])

    async def _show(self, events: Sequence[Event], view: View) -> None:
        """Push all of `events`, none of which lies after the position, however long it takes."""
        for piece in _pieces(events):
            frames = self._frames(piece, view)
            while not self._is_over() and not self._subscriber.push(frames):
                await self._subscriber.room()
            self._journal.metrics.messages_out += len(piece)

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


def _pieces(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """`events`, some kilobytes of payload at a time."""
    start = size = 0
    for number, event in enumerate(events, start=1):
        size += len(event.body) + ENVELOPE_BYTES
        if size >= CHUNK_BYTES:
            yield events[start:number]
            start, size = number, 0
    if start < len(events):
        yield events[start:]
