"""The nouns of the hub, frozen: a draft becomes an event when storage gives it a position.

What there is one of per event is a tuple, the rest attrs classes. Measured reason: a frozen attrs class of
five fields takes twice as long to make as a tuple, and 25 times as long to compare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar, cast

import orjson
from attrs import field, frozen

from adohub.notes import tree_from_bytes, with_tree

T = TypeVar("T")

Replay = Literal["none", "last", "all"]
"""What a fresh subscription gets first: nothing, the newest event per key, or all that is kept."""

Action = Literal["publish", "subscribe", "state_read", "state_write", "workers", "admin"]
"""What a principal may be allowed; the resource is a topic, a state key or a verb."""

Right = tuple[Action, str]
"""An action and what it is done to."""

OnGap = Literal["continue", "error"]
OnSlow = Literal["catch-up", "disconnect", "latest"]

_EVENT_ID = re.compile(r"([0-9a-z]{1,32})-([0-9a-f]{16})")


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """`moment` as the wire has it: UTC, ISO 8601, milliseconds and `Z`. A naive `moment` is taken as UTC."""
    if moment.tzinfo is not UTC:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    text = orjson.dumps(moment, option=orjson.OPT_UTC_Z).decode()  # a third of what isoformat takes
    return f"{text[1:24]}Z" if moment.microsecond else f"{text[1:20]}.000Z"


PARTIAL = "-part"
"""Behind the id of what a snapshot shows: whoever resumes there has not seen all of the snapshot."""


class Position(NamedTuple):
    """A place in the one order of events: the `offset`-th event of the storage's `epoch`.

    Offsets compare only within one epoch: an engine begins a new epoch whenever it cannot vouch for what it
    held before. `str()` is the event id that clients hold and send back as `lastEventId`; it is opaque to
    them, and of fixed width, so that ids of an epoch also sort as text.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        epoch, offset = self
        return f"{epoch}-{offset.to_bytes(8).hex()}"  # a third of what formatting it as %016x takes

    @staticmethod
    def parse(event_id: str) -> Position | None:
        """The position that `event_id` names, or None if this text was never one of ours."""
        match = _EVENT_ID.fullmatch(event_id)
        return Position(match[1], int(match[2], 16)) if match else None


EXISTS = -1
"""What `Draft.if_revision` says when the key must be there, whatever its revision."""


class Draft(NamedTuple):
    """A valid event that storage does not hold yet. `body` is the payload's JSON, in wire form.

    `ends` names topics of which nothing more is to come for this key, the draft's own perhaps among them:
    what they have of it goes from the newest after a while. `if_revision` makes it conditional: it is kept
    only if the newest event of its (topic, key) has this offset, 0 standing for none or an ended one.
    `notes`: what the JSON cannot say, in the form of `adohub.notes.to_bytes`; storage keeps it unread.
    """

    topic: str
    key: str | None
    body: bytes
    timestamp: str
    author: str = ""
    idempotency_key: str | None = None
    ends: tuple[str, ...] = ()
    if_revision: int | None = None
    notes: bytes = b""

    def __repr__(self) -> str:
        return f"Draft({self.topic!r}, key={self.key!r}, {len(self.body)} bytes)"


class Event(NamedTuple):
    """One immutable fact, kept by storage at `position`. `body` is the payload's JSON, in wire form.

    `notes`: what the JSON cannot say, if there is anything (see `Draft`).
    """

    position: Position
    topic: str
    key: str | None
    body: bytes
    timestamp: str
    notes: bytes = b""

    @property
    def id(self) -> str:
        """The event id on the wire."""
        return str(self.position)

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload in wire form, decoded afresh at each access."""
        return cast("Mapping[str, Any]", orjson.loads(self.body))

    @property
    def noted_payload(self) -> Mapping[str, Any]:
        """`payload`, with its notes: for those who hand it on to clients."""
        return with_tree(self.payload, tree_from_bytes(self.notes)) if self.notes else self.payload

    def __repr__(self) -> str:
        return f"Event({self.id!r}, {self.topic!r}, key={self.key!r}, {len(self.body)} bytes)"


def size_of(kept: Iterable[Draft | Event]) -> int:
    """How many bytes of payload these are, their notes included."""
    return sum([len(one.body) + len(one.notes) for one in kept])


def from_fields(cls: type[T]) -> Callable[[tuple[Any, ...]], T]:
    """Makes the named tuple `cls` of all its fields in order, in half the time of a call with them.

    A call runs a function in Python; this is for what is made for every single event, and counts no fields.
    """
    return cast("Callable[[tuple[Any, ...]], T]", partial(tuple.__new__, cls))


def texts(values: Iterable[str]) -> tuple[str, ...]:
    """`values` as a tuple. Raises ValueError for a single text, which is iterable but never meant."""
    if isinstance(values, str):
        raise ValueError(f"expected a list of texts, got the text {values!r}")
    return tuple(values)


@frozen
class Principal:
    """Who a connection is: a `name` for logs and events, and `roles` that `[auth.roles]` gives rights to.

    `expires_at`: until when that is so, in POSIX seconds; None if for good.
    """

    name: str
    roles: Sequence[str] = field(default=(), converter=texts)
    expires_at: float | None = None
