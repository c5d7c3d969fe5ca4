"""What a plugin may give the hub: frozen values that hooks return once, at start, and the hub then runs.

A contract checks itself when it is made and raises ValueError, in words for its author; the loader names
the plugin.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, get_args

import attrs
from attrs import field, frozen

from adohub.model import Action, Event, OnGap, OnSlow, Principal, Replay, Right, texts
from adohub.plugin.pending import Pending
from adohub.plugin.presence import Presence, Present
from adohub.plugin.source import Publish, Source
from adohub.plugin.storage import Page, Receipt
from adohub.structuring import wire_name
from adohub.topics import Selection, is_pattern, is_topic

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check(right: bool, complaint: str) -> None:
    if not right:
        raise ValueError(complaint)


@frozen
class Topic:
    """A kind of event: its `name`, the attrs class of its payload, and its key field by wire name.

    `type` None means any JSON object. `key` None means that events of this topic have no key. A payload
    class with a datetime field named `timestamp` gives the event's timestamp. `max_bytes` is how long a
    payload may be, as JSON; 0 leaves it to `server.max_message_bytes`.

    `state_keys` makes it a state topic, of at most so many keys, each of which has one value: its newest
    event is kept until `Hub.change` deletes it. Nothing but `Hub.change` publishes there, and rights are
    those of the key: `state_read` and `state_write`.
    """

    name: str
    type: type[Any] | None = None
    key: str | None = None
    max_bytes: int = 0
    state_keys: int = 0

    def __attrs_post_init__(self) -> None:
        _check(is_topic(self.name), f"{self.name!r} is no topic name (dotted lower-case segments)")
        _check(
            self.type is None or attrs.has(self.type), f"topic {self.name}: {self.type!r} is no attrs class"
        )
        _check_field(f"topic {self.name}", self.key)
        _check(
            self.type is None or self.key is None or self.key in map(wire_name, attrs.fields_dict(self.type)),
            f"topic {self.name}: {self.type and self.type.__name__} has no field {self.key} (by wire name)",
        )
        _check(self.max_bytes >= 0 and self.state_keys >= 0, f"topic {self.name}: a limit cannot be negative")
        _check(not self.state_keys or self.key is not None, f"topic {self.name}: state needs a key")


@frozen
class Channel:
    """A subscription procedure.

    `path` is what clients subscribe to; `topics` what it carries (patterns); `key` the input field, by wire
    name and required, that chooses the events' key; `where` further optional input fields, each equal to a
    payload field of that name. `replay` is what a fresh subscription gets first unless its input says
    otherwise. An event of `completes_on` with the same key ends it; `on_gap` decides about a resume position
    that storage no longer holds, `on_slow` about a client that does not keep up. `tracked` is the path of
    its twin whose data is `{id, data}`; a `stream.*` channel has one without asking.

    `select` replaces `key` and `where` for a channel whose input says more: it gets an instance of the attrs
    class `input` and returns the Selection; `topics` then only says what that may choose from. `whole` shows
    events whole: `{id, topic, key, payload, timestamp}`. `revised` adds a field `revision` to what is shown,
    the number that `Hub.change` has returned for it. With `synced` a subscription begins with the newest
    event of each key that has not ended, whatever `replay` says, then shows this payload, then changes; so it
    does after a gap, too, and then with what has ended since.

    With `presence` whoever subscribes is present while it does. Such a subscription begins where the one
    before it under the same key has ended, if that was within the grace, whatever `replay` says.
    """

    path: str
    topics: Sequence[str] = field(default=(), converter=texts)
    key: str | None = None
    replay: Replay = "none"
    completes_on: str | None = None
    on_gap: OnGap = "continue"
    on_slow: OnSlow = "catch-up"
    tracked: str | None = None
    where: Sequence[str] = field(default=(), converter=texts)
    input: type[Any] | None = None
    select: Callable[[Any], Selection] | None = None
    whole: bool = False
    revised: bool = False
    synced: Mapping[str, Any] | None = None
    presence: Presence | None = None

    def __attrs_post_init__(self) -> None:
        _check_path(self.path)
        if self.tracked is not None:
            _check_path(self.tracked)
        wrong = [pattern for pattern in self.topics if not is_pattern(pattern)]
        _check(not wrong, f"channel {self.path}: {wrong} are no topic patterns")
        _check(bool(self.topics) or self.select is not None, f"channel {self.path}: carries no topics")
        _check(
            (self.select is None) == (self.input is None),
            f"channel {self.path}: input and select go together",
        )
        _check(
            self.presence is None or self.select is not None, f"channel {self.path}: presence needs an input"
        )
        for name in (self.key, *self.where):
            _check_field(f"channel {self.path}", name)
        _check(
            self.completes_on is None or is_topic(self.completes_on),
            f"channel {self.path}: completes_on is {self.completes_on!r}, no topic name",
        )
        for name, value, choices in (
            ("replay", self.replay, get_args(Replay)),
            ("on_gap", self.on_gap, get_args(OnGap)),
            ("on_slow", self.on_slow, get_args(OnSlow)),
        ):
            _check(
                value in choices, f"channel {self.path}: {name} is {value!r}, not one of {', '.join(choices)}"
            )

    @property
    def tracked_path(self) -> str | None:
        """Where its tracked twin is, if it has one."""
        if self.tracked is None and self.path.startswith("stream."):
            return "tracked." + self.path.removeprefix("stream.")
        return self.tracked


Credentials = Mapping[str, Any]
"""What a peer shows, as far as it is known.

`token`, `headers` (lower-case names), `params` (of the connection), `address`; of a process at the unix
socket `uid` and `gids`, the numbers of its user and of all its groups.
"""


@frozen
class Authenticator:
    """Tells who a peer is: a Principal, or None for "not mine". Raises PeerError to refuse outright."""

    name: str
    authenticate: Callable[[Credentials], Awaitable[Principal | None]]


Authorizer = Callable[[Principal, str, str], "bool | None"]
"""`(principal, action, resource)`: True allows, False refuses, None leaves it to the next, then to roles."""


Submission = Pending[Sequence[Receipt]]
"""Drafts on their way to storage: their receipts, or the StorageError that kept them from it."""


class Hub(Protocol):
    """What a procedure or a route may ask of the hub."""

    def submit(
        self, principal: Principal, events: Sequence[PublishRequest], *, by: Right | None = None
    ) -> Submission:
        """Publish all of `events` or none, in this order; awaiting it gives one Receipt each.

        What is demanded of `principal` is the right to publish each topic, or instead of them the right `by`.

        Everything that can be refused is refused in the call itself: PeerError (BAD_REQUEST naming each
        wrong field by its wire path, FORBIDDEN, SERVICE_UNAVAILABLE when too much waits for storage).
        """
        ...

    def change(self, principal: Principal, change: Change) -> Pending[int]:
        """Give a key of a state topic a value, or none; awaiting it gives the new revision.

        The call itself raises PeerError: BAD_REQUEST, FORBIDDEN, PAYLOAD_TOO_LARGE, SERVICE_UNAVAILABLE. The
        result raises CONFLICT when `if_revision` does not hold, with `data.revision`, and PAYLOAD_TOO_LARGE
        when there are too many keys. Deleting what is not there changes nothing: revision 0.
        """
        ...

    async def newest(self, principal: Principal, selection: Selection) -> Sequence[Event]:
        """The newest chosen event of each (topic, key) that has not ended and `principal` may see, in order.

        Whoever has just published finds it there.
        """
        ...

    def present(self, topic: str, key: str | None = None) -> Sequence[Present]:
        """Who is present by the records of that topic, or whether `key` is; see `Presence`.

        Raises StorageError as long as that is not known.
        """
        ...

    async def find_present(self, topic: str, key: str) -> Present | None:
        """Who is present under `key`; storage is asked, so whom another hub has just let in is found, too.

        Raises StorageError, and PeerError SERVICE_UNAVAILABLE when too much waits for storage.
        """
        ...

    def demand(self, principal: Principal, right: Right) -> None:
        """Raises PeerError FORBIDDEN unless `principal` has `right`."""
        ...

    def trouble(self) -> str | None:
        """What keeps the hub from taking events just now, in words for an operator; None when nothing."""
        ...

    async def history(
        self, principal: Principal, selection: Selection, after: str | None, limit: int
    ) -> Page:
        """A page of what storage keeps and `principal` may see."""
        ...

    def health(self) -> Mapping[str, Any]:
        """`{status, version, instance, uptime}`; `status` is "ok", "degraded" or "draining", `uptime` in
        seconds.
        """
        ...

    def info(self) -> Mapping[str, Any]:
        """`{channels, topics, plugins, engine, schemaHash}`."""
        ...

    def metrics(self, accept: str = "") -> tuple[bytes, str]:
        """Metrics as text, and its content type: OpenMetrics if `accept` asks for it, else Prometheus'."""
        ...


@frozen
class PublishRequest:
    """One event to publish. `payload` as in `Publish`; `idempotency_key` makes a repetition harmless."""

    topic: str
    payload: object
    idempotency_key: str | None = None


@frozen
class WholeEvent:
    """An event as `stream.onEvent` and `events.history` show it: what a procedure's `output` says for one.

    Generated types make of it the union over all topics, each with its own payload; so they do of
    `PublishRequest` in an input.
    """

    id: str
    topic: str
    key: str | None
    payload: Any
    timestamp: datetime


@frozen
class Change:
    """A new value for a key of a state topic, or the end of one.

    `payload` as in `Publish`; it says the key. `deletes`: the key has no value any more, and the payload
    tells so. `if_revision`: only if that is what the key has, 0 meaning that it must not exist.
    """

    topic: str
    payload: object
    deletes: bool = False
    if_revision: int | None = None
    idempotency_key: str | None = None


@frozen
class Call:
    """Who calls a procedure, and the hub it may use."""

    principal: Principal
    hub: Hub


@frozen
class Procedure:
    """A query or mutation.

    `run(input, call)` gets an instance of the attrs class `input` (None when it takes none). A plain
    function runs at once, in the order in which its connection sent the calls; for the rest it may return a
    `Pending`, which costs no task, or an awaitable. A coroutine function runs on its own. The result is
    JSON-ready or an attrs instance.

    `output` is its type, for clients' types alone: nothing is checked against it. It may be anything that an
    attribute of an attrs class may be, `datetime` where the result has a time as text; None says nothing.
    """

    path: str
    kind: Literal["query", "mutation"]
    run: Callable[[Any, Call], Any]
    input: type[Any] | None = None
    output: Any = None

    def __attrs_post_init__(self) -> None:
        _check_path(self.path)
        _check(self.kind in ("query", "mutation"), f"procedure {self.path}: kind {self.kind!r}")


@frozen
class RouteRequest:
    """One HTTP request to a plugin's route. Header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    hub: Hub


@frozen
class RouteResponse:
    """What a route answers."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Route:
    """An HTTP address: `answer(request)` for exactly this method and path."""

    method: str
    path: str
    answer: Callable[[RouteRequest], Awaitable[RouteResponse]]

    def __attrs_post_init__(self) -> None:
        _check(self.path.startswith("/"), f"route {self.path!r} begins with no /")


def _check_field(owner: str, name: str | None) -> None:
    _check(name is None or bool(_FIELD.fullmatch(name)), f"{owner}: {name!r} is no field name")


def _check_path(path: str) -> None:
    _check(bool(_PATH.fullmatch(path)), f"{path!r} is no procedure path (two or more dotted names)")


__all__ = [
    "Action",
    "Authenticator",
    "Authorizer",
    "Call",
    "Change",
    "Channel",
    "Credentials",
    "Hub",
    "Pending",
    "Procedure",
    "Publish",
    "PublishRequest",
    "Receipt",
    "Route",
    "RouteRequest",
    "RouteResponse",
    "Source",
    "Submission",
    "Topic",
    "WholeEvent",
]
