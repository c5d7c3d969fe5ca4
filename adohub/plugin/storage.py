"""What a storage engine promises: one order for all events, kept, read back and followed.

The hub never delivers an event that it did not get from `follow`, also when it appended it itself; so an
engine that several hubs share makes them one hub.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol

import trio
from attrs import field, frozen

from adohub.model import EXISTS, Draft, Event, Position
from adohub.plugin.source import Source
from adohub.topics import Selection

Rejection = Literal["", "revision", "full"]
"""Why a draft is not kept: its `if_revision` does not hold, or its state topic has no room for a new key."""


class Receipt(NamedTuple):
    """What storage says of a draft: where it stands, and its timestamp.

    `repeated`: the draft's idempotency key was seen before, and this is the receipt of that first time.
    `rejected`: it is not kept, and `position` is that of the newest event of its (topic, key), offset 0 if
    there is none or it has ended.
    """

    position: Position
    timestamp: str
    repeated: bool = False
    rejected: Rejection = ""


@frozen
class Page:
    """Some events of a selection, in order. Every chosen event up to `reached` is in it or before it.

    `more`: there may be further ones after `reached`.
    """

    events: Sequence[Event]
    reached: Position
    more: bool = False


@frozen
class Newest:
    """The newest events of a selection, in order, as they were when `position` was the newest of all.

    `ended`: those of them whose key has ended.
    """

    events: Sequence[Event]
    position: Position
    ended: Set[Position] = frozenset()


class Located(NamedTuple):
    """Where whoever has seen everything up to some position goes on: after `position`, in the epoch of now.

    `whole`: nothing between the two is lost. `certain`: it is not known better than that by a hub that shares
    the storage; if it is not, `Storage.confirm` finds out.
    """

    position: Position
    whole: bool
    certain: bool = True


class Neighbour(NamedTuple):
    """A hub that shares a storage, as it was heard of last: whether it lives, and what it had delivered."""

    alive: bool
    delivered: Position


class Storage(Protocol):
    """An open engine. All methods may be called from many tasks at once.

    Any of them raises StorageError when the engine is out of reach; nothing is half done then. Whoever has
    been given an event, a receipt or a position by an engine finds them there when it is opened again, as
    far as its epoch is the same.
    """

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        """Keep `drafts`, in this order and all or none, and return their receipts.

        A draft whose (author, idempotency key) was appended within the engine's window is not kept again:
        its first receipt is returned. Otherwise one whose `if_revision` does not hold, or that would be one
        key too many of its state topic, is not kept either, and its receipt says so. Each draft sees what
        those before it have done. Cancelled in the middle, the append has happened or has not.
        """
        ...

    def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        """Every event after `after`, in order, in batches of what has gathered; waits for more for ever.

        What `head` tells of is yielded without waiting for anything else to happen. An engine whose epoch
        changes while it is open ends it then, once it has yielded what there was before: `head` is of the new
        epoch in that very step, and `locate` says where to follow from. So does one that has lost events
        which it has yet to yield: its tail lies after the last that it has yielded.
        """
        ...

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        """At most `limit` events of `selection` after `after`, oldest first.

        May stop short of `limit` to bound the work of one call; `reached` says how far it looked, and is
        beyond `after` unless there is nothing more.
        """
        ...

    async def latest(self, selection: Selection) -> Newest:
        """The newest chosen event of each (topic, key), kept beyond the limits of history.

        Of ended keys it is kept for `ended_s`; then only history may still have it, for whoever asks for
        that very key. Of state topics all are kept, of the others as many as history may have events.
        """
        ...

    async def check(self) -> None:
        """Raises StorageError, in words for an operator, if `append` would fail just now."""
        ...

    def head(self) -> Position:
        """The position of the newest event that `append` has acknowledged; before the first one, offset 0."""
        ...

    def tail(self) -> Position:
        """The position just before the oldest event that `read` can give."""
        ...

    def locate(self, seen: Position) -> Located:
        """Where whoever has seen everything up to `seen` goes on.

        That is the tail for a position that tells nothing, and never before the tail. One of an earlier epoch
        is never whole, but where the engine knows what became of that epoch it is gone on after, not behind.
        """
        ...

    async def confirm(self, seen: Position) -> Located:
        """The same for certain, which may take asking others; `head` is not before its position then."""
        ...

    def trouble(self) -> str | None:
        """Why `append` would fail just now, in words for an operator, as far as it knows without trying."""
        ...

    def hubs(self) -> Mapping[str, Neighbour]:
        """By instance the hubs that share this storage: this one, and those it has heard of for an hour.

        A hub that stops without a word is not alive any more within seconds. What it had `delivered` is told
        a little too low rather than too high.
        """
        ...

    def sources(self) -> Sequence[Source]:
        """What the engine itself takes in from elsewhere, or gives: run as plugins' sources are, while it is
        open.
        """
        ...


class Unshared(ABC):
    """What an engine has to say of other hubs when there are none, and when its epoch lasts."""

    _instance = ""

    @abstractmethod
    def head(self) -> Position:
        """See `Storage`."""

    @abstractmethod
    def tail(self) -> Position:
        """See `Storage`."""

    def locate(self, seen: Position) -> Located:
        """See `Storage`."""
        tail, head = self.tail(), self.head()
        whole = seen.epoch == head.epoch and tail <= seen <= head
        return Located(seen if whole else tail, whole)

    async def confirm(self, seen: Position) -> Located:
        """See `Storage`."""
        await trio.lowlevel.checkpoint()
        return self.locate(seen)

    def trouble(self) -> str | None:
        """See `Storage`."""
        return None

    def hubs(self) -> Mapping[str, Neighbour]:
        """See `Storage`."""
        return {self._instance: Neighbour(alive=True, delivered=self.head())}

    def sources(self) -> Sequence[Source]:
        """See `Storage`."""
        return ()


@frozen
class StorageSettings:
    """`[storage]` as an engine gets it; `table` is its own `[storage.NAME]`.

    `instance` names the hub among those that share the storage; it is another one at every start.

    `ended_s`: how long an ended key stays among the newest, in seconds. `state_keys`: how many keys each
    state topic may have.
    """

    max_events: int
    max_age_s: float
    idempotency_window_s: float
    table: Mapping[str, Any] = field(factory=dict)
    ended_s: float = 3600.0
    state_keys: Mapping[str, int] = field(factory=dict)
    instance: str = ""

    def rejection(self, topic: str, if_revision: int | None, revision: int, live: int) -> Rejection:
        """Why a draft of `topic` with this `if_revision` is not to be kept.

        `revision`: of the newest event of its key, 0 if there is none or it has ended; `live`: how many keys
        of the topic have not ended.
        """
        if if_revision is not None and (revision == 0 if if_revision == EXISTS else revision != if_revision):
            return "revision"
        most = self.state_keys.get(topic)
        return "full" if most is not None and revision == 0 and live >= most else ""


@frozen
class StorageEngine:
    """A way to keep events, chosen by `[storage] engine = NAME`.

    `open(settings)` is entered once at start and left after the last append: it yields the Storage. It may
    run its own tasks inside.
    """

    name: str
    open: Callable[[StorageSettings], AbstractAsyncContextManager[Storage]]
