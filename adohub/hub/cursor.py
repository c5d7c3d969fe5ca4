"""One subscription's life: replay, join, fall behind, replay, leave.

    replaying --reaches the head--> live --its socket is full--> replaying …
        |                            |--its epoch is over--> replaying …
        +-- completed, or the peer leaves: over

Law: between "position == head" and joining the cohort there is no checkpoint. Pages end at the head, so a
cursor that joins there has been given every event before it, and its cohort gives it every one after.

Where the position is of an epoch that is over, the cursor does not know what it has missed: it says so, and
goes on in the epoch of now as whoever resumes after a gap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Protocol

from adohub.errors import Goodbye, PeerError
from adohub.hub.cohort import Interest, Push
from adohub.hub.journal import Journal, Resumption
from adohub.hub.replays import (
    PAGE_EVENTS,
    FramedPage,
    Replays,
    Shelf,
    data_frames,
    framed,
    pieces,
)
from adohub.hub.routes import Routes
from adohub.model import Event, OnGap, OnSlow, Position, Replay
from adohub.plugin.storage import Page
from adohub.wire.encode import View
from adohub.wire.messages import Stopped

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

    def missed(self) -> None:
        """Say that the subscription has missed something: `started`, again, with `recovered: false`."""
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
        "_on_gap",
        "_on_slow",
        "_owes_synced",
        "_position",
        "_replays",
        "_routes",
        "_state",
        "_subscriber",
    )

    def __init__(
        self,
        journal: Journal,
        replays: Replays,
        routes: Routes,
        subscriber: Subscriber,
        interest: Interest,
        on_slow: OnSlow,
        on_gap: OnGap = "continue",
    ) -> None:
        self._journal = journal
        self._replays = replays
        self._routes = routes
        self._subscriber = subscriber
        self._interest = interest
        self._on_slow: OnSlow = on_slow
        self._on_gap: OnGap = on_gap
        self._position = journal.head
        self._ends_at_head = False
        self._owes_synced = False
        self._state = _State.REPLAYING

    # ── beginning ────────────────────────────────────────────────────────────────────────────────────

    def begin(self, replay: Replay) -> None:
        """A fresh subscription: joins at once if there is nothing to look up first."""
        self._position = self._journal.head
        if self._interest.synced is not None:
            self._subscriber.start(self._begin_with_snapshot)
        elif replay == "none" and self._interest.completes_on is None:
            self._join()
        else:
            self._subscriber.start(lambda: self._begin(replay))

    def resume(self, resumption: Resumption) -> None:
        """A returning subscription: goes on where `resumption` says."""
        self._position = resumption.position
        self._subscriber.start(lambda: self._resume(resumption))

    async def _begin(self, replay: Replay) -> None:
        latest = await self._journal.latest(self._interest.newest)
        while self._is_outdated():
            self._tell_gap()
            self._position = self._journal.relocate(self._position).position
            await self._journal.delivered(self._position)
            latest = await self._journal.latest(self._interest.newest)
        if replay == "all":
            self._position = self._journal.tail
        newest = self._not_replayed(latest)
        if replay != "none":
            await self._show(self._interest.selection.choose(newest), self._interest.view)
        await self._replay()

    async def _resume(self, resumption: Resumption) -> None:
        if not resumption.certain:
            resumption = await self._journal.confirmed(resumption)
            if not resumption.recovered:
                self._tell_gap()
        await self._go_on(resumption)
        await self._replay()

    async def _go_on(self, resumption: Resumption) -> None:
        """Begin where `resumption` says, with what is newest of that which history has lost before it."""
        self._position = resumption.position
        await self._journal.delivered(self._position)
        if self._interest.synced is not None:
            self._owes_synced = resumption.partial
            if not resumption.recovered:
                await self._snapshot(resumption.seen)
        elif resumption.lost_after < self._position or self._interest.completes_on is not None:
            latest = await self._journal.latest(self._interest.newest)
            newest = self._not_replayed(latest)
            missed = [event for event in newest if event.position > resumption.lost_after]
            await self._show(self._interest.selection.choose(missed), self._interest.view)

    def _not_replayed(self, latest: Sequence[Event]) -> Sequence[Event]:
        """Those of `latest` up to the position; notes whether one of them has ended the subscription already.

        The replay, which begins at the position, will come to the others.
        """
        newest = [event for event in latest if event.position <= self._position]
        self._ends_at_head = any(map(self._interest.completed_by, newest))
        return newest

    async def _begin_with_snapshot(self) -> None:
        await self._snapshot(None)
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

    @property
    def given(self) -> Position:
        """Everything that it chooses has been given to the subscriber up to here, if not further."""
        if self._state is _State.LIVE:
            return self._routes.underway_after or self._journal.head
        return self._position

    # ── replaying ────────────────────────────────────────────────────────────────────────────────────

    async def _replay(self) -> None:
        with self._replays.shelf(self._interest) as shelf:
            while self._state is _State.REPLAYING:
                await self._subscriber.room()
                if self._is_outdated():
                    self._tell_gap()
                    await self._go_on(self._journal.relocate(self._position))
                elif self._replays.has_at_hand(shelf, self._position):
                    await self._take_turn(shelf)
                else:
                    await self._read_on(shelf)
                if self._owes_synced and self._is_at_head():
                    await self._sync()

    async def _take_turn(self, shelf: Shelf, fetched: FramedPage | None = None) -> None:
        """Give a piece of what is at hand, or else of what was `fetched`, and join if that was the last.

        Looking, giving and joining are one step: whoever looked first and waited for its turn then would
        never catch a head that moves meanwhile, and the head is what it is now.
        """
        async with self._replays.turn:
            page = self._replays.at_hand(shelf, self._position) or fetched
            if page is not None:
                self._give(page)
            if self._is_at_head() and not self._owes_synced:
                self._end() if self._ends_at_head else self._join()

    def _is_at_head(self) -> bool:
        return self._state is _State.REPLAYING and self._position == self._journal.head

    def _is_outdated(self) -> bool:
        """Whether the position is of an epoch that is over, so that nothing is to be read from there."""
        return self._position.epoch != self._journal.head.epoch

    def _tell_gap(self) -> None:
        """Something may be missing before what comes next. Raises PeerError if that is not to happen."""
        if self._is_over():
            return
        self._journal.metrics.gaps += 1
        if self._on_gap == "error":
            raise gap_refusal()
        self._subscriber.missed()

    async def _read_on(self, shelf: Shelf) -> None:
        """Go on with what storage has; no longer all of it is a gap, after which a snapshot begins anew."""
        async with self._replays.fetched(shelf, self._position) as page:
            is_gap = page is not None and not page.is_whole and not self._is_outdated()
            if is_gap:
                self._tell_gap()
            if not is_gap or self._interest.synced is None:
                if is_gap and self._interest.completes_on is not None:
                    self._ends_at_head = await self._has_ended()
                await self._take_turn(shelf, page)
                return
        await self._snapshot(self._position)

    async def _has_ended(self) -> bool:
        """Whether what ends the subscription is in what history has lost, or still to come."""
        latest = await self._journal.latest(self._interest.newest)
        return any(map(self._interest.completed_by, latest))

    async def _skip_to_latest(self) -> None:
        """Give only the newest event per topic and key of what was missed, then replay the little since."""
        while not await self._gave_latest():
            pass
        await self._replay()

    async def _gave_latest(self) -> bool:
        """Give those there are now; False if the socket was full again meanwhile: there may be newer ones.

        Where the epoch is over, there is nothing to skip to.
        """
        await self._subscriber.room()
        begun = self._journal.head
        latest = await self._journal.latest(self._interest.newest)
        if self._is_outdated():
            return True
        missed = [event for event in latest if self._position < event.position <= begun]
        while not self._is_over() and self._position < begun:
            some, missed = missed[:PAGE_EVENTS], missed[PAGE_EVENTS:]
            page = framed(self._interest, self._position, Page(some, some[-1].position if missed else begun))
            while not self._is_over() and self._position < page.reached:
                await self._subscriber.room()
                async with self._replays.turn:
                    if not self._give(page):
                        return self._is_over()
        return True

    def _give(self, page: FramedPage) -> bool:
        """Push the next piece of `page`, and move the position over it; False if there was no room for it."""
        piece = page.piece(self._position)
        if self._is_over() or (piece.frames and not self._subscriber.push(piece.frames)):
            return False
        self._journal.metrics.messages_out += piece.messages
        self._position = piece.last
        if piece.completes:
            self._over()
        return True

    async def _show(self, events: Sequence[Event], view: View) -> None:
        """Push all of `events`, none of which lies after the position, however long it takes."""
        for some in pieces(events):
            async with self._replays.turn:
                frames = b"".join(data_frames(some, self._interest, view))
            while not self._is_over() and not self._subscriber.push(frames):
                await self._subscriber.room()
            self._journal.metrics.messages_out += len(some)

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

    def interrupt(self, position: Position) -> None:
        """The epoch is over. Everything up to `position` has been given."""
        self._state = _State.REPLAYING
        self._position = position
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
        return self._interest.dialect.message(Stopped(self._interest.tag))


def gap_refusal() -> PeerError:
    """What a subscription fails with that is not to go on after a gap."""
    return PeerError(
        "PRECONDITION_FAILED", "events after this lastEventId are no longer kept; subscribe again without it"
    )
