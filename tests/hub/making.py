"""Events, interests and what a peer reads, for the hub's tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson
import trio
import trio.testing

from adohub.builtin.memory import MemoryStorage
from adohub.errors import Goodbye
from adohub.hub.cohort import Interest
from adohub.hub.cursor import Cursor
from adohub.hub.journal import Journal
from adohub.hub.replays import Replays
from adohub.hub.routes import Routes
from adohub.model import Draft, Event, OnGap, OnSlow, Position, Replay
from adohub.plugin.storage import StorageSettings
from adohub.topics import Selection
from adohub.wire.encode import View
from adohub.wire.messages import RequestId, Tag

EPOCH = "e0"
NOON = "2026-01-02T12:00:00.000Z"

MAX_TURNS = 2000
"""More pages than any replay in these tests has. One that asks for more would go on for ever."""

SETTINGS = StorageSettings(max_events=1000, max_age_s=3600, idempotency_window_s=60)


def at(offset: int) -> Position:
    return Position(EPOCH, offset)


def event(offset: int, topic: str, key: str | None = None, **payload: object) -> Event:
    return Event(at(offset), topic, key, orjson.dumps(payload), NOON)


def draft(topic: str, key: str | None = None, **payload: object) -> Draft:
    return Draft(topic, key, orjson.dumps(payload), NOON)


def interest(
    *topics: str,
    key: str | None = None,
    completes_on: str | None = None,
    id_: RequestId = 1,
    view: View | None = None,
    where: Sequence[tuple[str, str]] = (),
) -> Interest:
    return Interest(Selection(topics, key=key, where=where), view or View(), completes_on, Tag(id_))


def messages(frames: bytes) -> list[dict[str, Any]]:
    """What a peer reads in `frames`: whole, unmasked text messages, each of them JSON."""
    return [orjson.loads(text) for text in _texts(frames)]


def _texts(frames: bytes) -> Iterator[bytes]:
    while frames:
        assert frames[0] == 0x81
        length, start = frames[1], 2
        if length == 126:
            length, start = struct.unpack("!H", frames[2:4])[0], 4
        elif length == 127:
            length, start = struct.unpack("!Q", frames[2:10])[0], 10
        yield frames[start : start + length]
        frames = frames[start + length :]


def data(event: Event, interest: Interest) -> dict[str, Any]:
    """The data message of `event`, written down from the protocol rather than by adohub's encoder."""
    view = interest.view
    shown: Any = event.payload
    if view.whole:
        shown = {
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "payload": event.payload,
            "timestamp": event.timestamp,
        }
    if view.revised:
        shown = {**shown, "revision": event.position.offset}
    event_id = f"{event.id}-part" if view.partial else event.id
    if view.tracked:
        shown = {"id": event_id, "data": shown}
    return _reply(interest.tag) | {"result": {"type": "data", "data": shown, "id": event_id}}


def stopped(interest: Interest) -> dict[str, Any]:
    return _reply(interest.tag) | {"result": {"type": "stopped"}}


def _reply(tag: Tag) -> dict[str, Any]:
    return {"id": tag.id} | ({"jsonrpc": "2.0"} if tag.jsonrpc else {})


class Recorder:
    """A cohort's member and the socket behind it. While `full`, it refuses what is pushed."""

    def __init__(self) -> None:
        self.pushed: list[bytes] = []
        self.full = False
        self.behind: list[Position] = []
        self.interrupted: list[Position] = []
        self.completions = 0

    def push(self, frames: bytes) -> bool:
        if not self.full:
            self.pushed.append(frames)
        return not self.full

    def fall_behind(self, position: Position) -> None:
        self.behind.append(position)

    def interrupt(self, position: Position) -> None:
        self.interrupted.append(position)

    def complete(self) -> None:
        self.completions += 1

    @property
    def heard(self) -> list[dict[str, Any]]:
        return messages(b"".join(self.pushed))


def at_once(steps: Iterable[object]) -> None:
    """Take all `steps`, with nobody else between them."""
    for _ in steps:
        pass


class Peer:
    """A connection as a cursor sees it (`adohub.hub.cursor.Subscriber`).

    It has no room while it is `full`, nor once it was pushed to `capacity` times since it was drained.
    """

    def __init__(self, nursery: trio.Nursery, capacity: int | None = None) -> None:
        self._nursery = nursery
        self._drained = trio.Event()
        self._pushes = 0
        self._turns = 0
        self.capacity = capacity
        self.frames: list[bytes] = []
        self.full = False
        self.over = False
        self.goodbyes: list[Goodbye] = []
        self.gaps: list[int] = []
        """How many events it had been given, each time that it was told of a gap."""

    @property
    def has_room(self) -> bool:
        return not self.full and (self.capacity is None or self._pushes < self.capacity)

    def push(self, frames: bytes) -> bool:
        if not self.has_room:
            return False
        self.frames.append(frames)
        self._pushes += 1
        return True

    async def room(self) -> None:
        self._turns += 1
        assert self._turns < MAX_TURNS, "a replay that comes nowhere"
        while not self.has_room:
            await self._drained.wait()

    def drain(self) -> None:
        self.full = False
        self._pushes = 0
        self._drained.set()
        self._drained = trio.Event()

    def start(self, replay: Callable[[], Any]) -> None:
        self._nursery.start_soon(replay)

    def missed(self) -> None:
        assert not self.over
        self.gaps.append(len(self.ids))

    def completed(self) -> None:
        assert not self.over
        self.over = True

    def drop(self, goodbye: Goodbye) -> None:
        self.goodbyes.append(goodbye)

    @property
    def heard(self) -> list[dict[str, Any]]:
        return messages(b"".join(self.frames))

    @property
    def ids(self) -> list[str]:
        """The ids of the events it was given."""
        return [one["result"]["id"] for one in self.heard if one["result"]["type"] == "data"]

    @property
    def stops(self) -> int:
        return sum(one["result"]["type"] == "stopped" for one in self.heard)


class Hub:
    """Storage, journal and routes of one hub; whoever wants its pump runs it."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        self.storage = storage or MemoryStorage(SETTINGS)
        self.journal = Journal(self.storage)
        self.replays = Replays(self.journal)
        self.routes = Routes()

    def cursor(
        self,
        peer: Peer,
        interest: Interest,
        on_slow: OnSlow = "catch-up",
        on_gap: OnGap = "continue",
    ) -> Cursor:
        return Cursor(self.journal, self.replays, self.routes, peer, interest, on_slow, on_gap)

    async def publish(self, *drafts: Draft) -> list[str]:
        """Append without delivering; the ids."""
        return [str(receipt.position) for receipt in await self.storage.append(drafts)]

    def deliver(self, *events: Event) -> None:
        """One part of what the pump delivers, all its steps at once."""
        before = self.journal.head
        self.journal.advance(events)
        at_once(self.routes.deliver(events, before))

    async def deliver_all(self) -> None:
        """As many steps of the pump as there are events."""
        page = await self.storage.read(Selection(["**"]), self.journal.head, 10_000)
        for one in page.events:
            self.deliver(one)


async def begun(hub: Hub, peer: Peer, interest: Interest, replay: Replay) -> Cursor:
    """A fresh subscription, after all it can do by itself."""
    cursor = hub.cursor(peer, interest)
    cursor.begin(replay)
    await trio.testing.wait_all_tasks_blocked()
    return cursor
