"""A hub whose every wait ends on a cue, so that a test chooses the order in which things happen.

Storage waits for a cue before it looks and again before it answers; the pump waits for one before each
event. With the cues exhausted, `finale` lets everything run to its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Literal

import pytest
import trio
import trio.testing
from attrs import frozen

from adohub.hub import replays
from adohub.hub.cohort import Interest
from adohub.hub.cursor import Cursor
from adohub.hub.pump import pump
from adohub.hub.recent import Recent
from adohub.model import Draft, Event, Position, Replay
from adohub.plugin.storage import Newest, Page, StorageSettings
from adohub.topics import Selection
from tests.hub.breaking import BreakingStorage
from tests.hub.making import SETTINGS, Hub, Peer, draft, interest

Step = Literal["publish", "other", "end", "deliver", "storage", "full", "room", "stop", "flush", "fail over"]


class CuedStorage(BreakingStorage):
    """The memory engine, behind cues."""

    def __init__(self, settings: StorageSettings) -> None:
        super().__init__(settings)
        self.waiting: dict[str, deque[trio.Event]] = {"storage": deque(), "deliver": deque()}
        self.cued = False

    async def _cue(self, what: str) -> None:
        if self.cued:
            moment = trio.Event()
            self.waiting[what].append(moment)
            await moment.wait()

    def give(self, what: str) -> None:
        if self.waiting[what]:
            self.waiting[what].popleft().set()

    def release(self) -> None:
        self.cued = False
        for what, moments in self.waiting.items():
            while moments:
                self.give(what)

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        await self._cue("storage")
        page = await super().read(selection, after, limit)
        await self._cue("storage")
        return page

    async def latest(self, selection: Selection) -> Newest:
        await self._cue("storage")
        newest = await super().latest(selection)
        await self._cue("storage")
        return newest

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        async with aclosing(super().follow(after)) as batches:
            async for batch in batches:
                for one in batch:
                    await self._cue("deliver")
                    yield [one]


@frozen
class Start:
    """How the subscription begins: what was published before, and what it asks for."""

    before: Sequence[str] = ()
    undelivered: Sequence[str] = ()
    replay: Replay = "none"
    resume_at: int | None = None
    interest: Interest = interest("t", key="k", completes_on="end")
    settings: StorageSettings = SETTINGS
    far_back: bool = False
    """Whether the journal's short memory is empty, so that every page comes from storage."""
    capacity: int | None = None
    """How many pushes the socket takes between two drains; then each event is pushed by itself."""


DRAFTS: dict[str, Callable[[], Draft]] = {
    "publish": lambda: draft("t", "k"),
    "other": lambda: draft("t", "m"),
    "end": lambda: draft("end", "k"),
}


@frozen
class Outcome:
    """What there was, and what the subscriber got of it.

    `events` are those of the last epoch, `ended` those of the one before, if there was one.
    """

    events: Sequence[Event]
    ended: Sequence[Event]
    gaps: int
    head_at_start: Position
    ids: Sequence[str]
    stops: int
    stopped_last: bool
    left: bool
    live: bool
    over: bool
    possible: Sequence[Step]
    """The steps that would have done something at the end of the script."""


async def play(start: Start, script: Sequence[Step]) -> Outcome:
    """One subscription from `start` through `script` to the end of all things."""
    storage = CuedStorage(start.settings)
    hub = Hub(storage)
    async with trio.open_nursery() as nursery, _small_chunks(start.capacity is not None):
        nursery.start_soon(pump, hub.journal, hub.routes)
        await hub.publish(*(DRAFTS[name]() for name in start.before))
        await trio.testing.wait_all_tasks_blocked()
        storage.cued = True
        await trio.testing.wait_all_tasks_blocked()
        await hub.publish(*(DRAFTS[name]() for name in start.undelivered))
        if start.far_back:
            hub.journal._recent = Recent(hub.journal.head)
        scene = _Scene(hub, storage, Peer(nursery, start.capacity), start)
        for step in script:
            await scene.take(step)
        possible = scene.possible()
        outcome = await scene.finale(possible)
        nursery.cancel_scope.cancel()
    return outcome


@asynccontextmanager
async def _small_chunks(small: bool) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(replays, "CHUNK_BYTES", 1)
        yield


class _Scene:
    def __init__(self, hub: Hub, storage: CuedStorage, peer: Peer, start: Start) -> None:
        self._hub = hub
        self._storage = storage
        self._peer = peer
        self._left = False
        self._heard_when_left = 0
        self._ended: Sequence[Event] = ()
        self._head = hub.journal.head
        self._cursor: Cursor = hub.cursor(peer, start.interest)
        if start.resume_at is None:
            self._cursor.begin(start.replay)
        else:
            event_id = str(Position(self._head.epoch, start.resume_at))
            self._cursor.resume(hub.journal.locate(event_id))

    async def take(self, step: Step) -> None:
        await trio.testing.wait_all_tasks_blocked()
        match step:
            case "publish" | "other" | "end":
                await self._hub.publish(DRAFTS[step]())
            case "deliver" | "storage":
                self._storage.give(step)
            case "flush" | "fail over":
                self._ended = await self._events()
                self._storage.flush() if step == "flush" else self._storage.fail_over()
            case "full":
                self._peer.full = True
            case "room":
                self._peer.drain()
            case "stop":
                self._cursor.leave()
                self._left = True
                self._heard_when_left = len(self._peer.frames)
        await trio.testing.wait_all_tasks_blocked()

    async def _events(self) -> Sequence[Event]:
        """What storage has, without a cue."""
        history = self._storage._history
        return (await history.read(Selection(["**"]), Position(history.epoch, 0), 10_000)).events

    def possible(self) -> Sequence[Step]:
        steps: list[Step] = ["publish", "end"]
        if not self._left and not self._peer.over:
            steps += ["full"] if self._peer.has_room else ["room"]
            steps += ["stop"]
        if self._storage.waiting["storage"]:
            steps.append("storage")
        if self._hub.journal.head != self._storage.head():
            steps.append("deliver")
        return steps

    async def finale(self, possible: Sequence[Step]) -> Outcome:
        self._storage.release()
        self._peer.capacity = None
        self._peer.drain()
        await trio.testing.wait_all_tasks_blocked()
        events = await self._events()
        assert self._hub.journal.head == self._storage.head()
        assert not self._left or len(self._peer.frames) == self._heard_when_left
        heard = self._peer.heard
        return Outcome(
            events,
            self._ended,
            len(self._peer.gaps),
            self._head,
            self._peer.ids,
            self._peer.stops,
            bool(heard) and heard[-1]["result"]["type"] == "stopped",
            self._left,
            bool(self._hub.routes.members),
            self._peer.over,
            possible,
        )
