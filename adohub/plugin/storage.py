"""What a storage engine promises: one order for all events, kept, read back and followed.

The hub never delivers an event that it did not get from `follow`, also when it appended it itself; so an
engine that several hubs share makes them one hub.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from attrs import field, frozen

from adohub.model import Draft, Event, Position
from adohub.topics import Selection


class Receipt(NamedTuple):
    """What storage says of a draft it holds: where it stands, and its timestamp.

    `repeated`: the draft's idempotency key was seen before, and this is the receipt of that first time.
    """

    position: Position
    timestamp: str
    repeated: bool = False


@frozen
class Page:
    """Some events of a selection, in order. Every chosen event up to `reached` is in it or before it.

    `more`: there may be further ones after `reached`.
    """

    events: Sequence[Event]
    reached: Position
    more: bool = False


class Storage(Protocol):
    """An open engine. All methods may be called from many tasks at once.

    Any of them raises StorageError when the engine is out of reach; nothing is half done then.
    """

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        """Keep `drafts`, in this order and all or none, and return their receipts.

        A draft whose (author, idempotency key) was appended within the engine's window is not kept again:
        its first receipt is returned. Cancelled in the middle, the append has happened or has not.
        """
        ...

    def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        """Every event after `after`, in order, in batches of what has gathered; waits for more for ever.

        What `head` tells of is yielded without waiting for anything else to happen.
        """
        ...

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        """At most `limit` events of `selection` after `after`, oldest first.

        May stop short of `limit` to bound the work of one call; `reached` says how far it looked, and is
        beyond `after` unless there is nothing more.
        """
        ...

    async def latest(self, selection: Selection) -> Sequence[Event]:
        """The newest chosen event of each (topic, key), in order; kept beyond the limits of history."""
        ...

    def head(self) -> Position:
        """The position of the newest event that `append` has acknowledged; before the first one, offset 0."""
        ...

    def tail(self) -> Position:
        """The position just before the oldest event that `read` can give."""
        ...


@frozen
class StorageSettings:
    """`[storage]` as an engine gets it; `table` is its own `[storage.NAME]`."""

    max_events: int
    max_age_s: float
    idempotency_window_s: float
    table: Mapping[str, Any] = field(factory=dict)


@frozen
class StorageEngine:
    """A way to keep events, chosen by `[storage] engine = NAME`.

    `open(settings)` is entered once at start and left after the last append: it yields the Storage. It may
    run its own tasks inside.
    """

    name: str
    open: Callable[[StorageSettings], AbstractAsyncContextManager[Storage]]
