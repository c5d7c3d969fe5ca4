"""Everything a tRPC peer can say, as frozen values: requests come in, replies go out.

Source of the shapes: the tRPC WebSocket protocol as @trpc/client 10 and 11 speak it. `decode` makes
requests of text, `encode` makes text of replies; neither invents a message that is not listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from attrs import field, frozen

from adohub.errors import ErrorCode

RequestId = int | float | str
"""What a client may number its requests with; echoed in the same JSON type."""

ProcedureKind = Literal["query", "mutation", "subscription"]


class Absent:
    """The type of `ABSENT`: a JSON key that was not sent, which JavaScript reads as `undefined`."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()


class Tag(NamedTuple):
    """What ties replies to a request: its id (None when there is none) and whether it said `jsonrpc`."""

    id: RequestId | None
    jsonrpc: bool = False


# ── from the peer ────────────────────────────────────────────────────────────────────────────────────


class Request(NamedTuple):
    """One procedure call. `input` is ABSENT when undefined; `last_event_id` is a resume position."""

    tag: Tag
    kind: ProcedureKind
    path: str
    input: Any = ABSENT
    last_event_id: str | None = None


@frozen
class Stop:
    """The peer ends the subscription with this id."""

    tag: Tag


@frozen
class Params:
    """The `connectionParams` of a connection, sent once as its first message. None means none."""

    values: Mapping[str, str] | None = field(repr=False)


@frozen
class Ping:
    """The text `PING`. Either side may send it; it is answered with `PONG`."""


@frozen
class Pong:
    """The text `PONG`. From a peer it is a sign of life and nothing else."""


Incoming = Request | Stop | Ping | Pong


# ── to the peer ──────────────────────────────────────────────────────────────────────────────────────


@frozen
class Started:
    """A subscription is open. `recovered` is said on a resume only: whether nothing was missed."""

    tag: Tag
    recovered: bool | None = None


class Data(NamedTuple):
    """The answer to a query or mutation; `body` is encoded already, None stands for `undefined`."""

    tag: Tag
    body: bytes | None


@frozen
class Stopped:
    """A subscription is over, and its id free again."""

    tag: Tag


@frozen
class Failure:
    """A request, a subscription or (id None) the connection's first words are refused."""

    tag: Tag
    code: ErrorCode
    message: str
    path: str | None = None
    data: Mapping[str, Any] = field(factory=dict)


@frozen
class Reconnect:
    """The notification that asks clients to move to a new connection."""


Outgoing = Started | Data | Stopped | Failure | Reconnect | Ping | Pong
