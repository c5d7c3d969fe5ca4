"""One peer's ledger: what it may say when, and which of its subscription ids are open.

A connection's life, and what each incoming message leads to:

    phase           first message    a request                 PING
    greeting        Authenticate     (is taken as params)      PONG
    authenticating  (nothing is read until the hub has said `accepted` or `refused`)
    open            -                Request / Cancel          PONG
    refused         -                the refusal, by its id    PONG

A subscription's life, by the ledger's verbs:

    (none) --admit--> opening --started--> live --finished/failed--> (none)
                                           live --missed-----------> live
                      opening --failed----------------------------> (none)
                      opening or live --the peer's stop-----------> (none)

Any other step raises `LedgerError`: it is the hub's bug, never the peer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto

from attrs import frozen

from adohub.config import Limits
from adohub.errors import OverLimit, PeerError
from adohub.wire import binary
from adohub.wire.decode import DEFAULT_LIMITS, PING_TEXT, PONG_TEXT, Malformed, decode, decode_params
from adohub.wire.depth import check_depth, may_be_deep
from adohub.wire.messages import (
    Failure,
    Incoming,
    Outgoing,
    Params,
    Ping,
    Pong,
    Request,
    RequestId,
    Started,
    Stop,
    Stopped,
    Tag,
)

_NO_TAG = Tag(None)

_WORDS = frozenset((PING_TEXT, PONG_TEXT))
"""What is said in text frames by everybody."""


class LedgerError(RuntimeError):
    """The hub tried to say something that this conversation does not allow now."""


@frozen
class Answer:
    """Send this, now. `limit` is the key of the limit that the peer has met, if that is why."""

    message: Outgoing
    limit: str = ""


@frozen
class Authenticate:
    """The peer has shown its connection params: decide, then call `accepted` or `refused`."""

    params: Params


@frozen
class Cancel:
    """The peer ended this subscription: clean up, then send `stopped`."""

    tag: Tag


Step = Request | Answer | Authenticate | Cancel
"""What is to be done; an admitted Request stands for itself: run it, or open it, and its id is `opening`."""


class _Phase(Enum):
    GREETING = auto()
    AUTHENTICATING = auto()
    OPEN = auto()
    REFUSED = auto()


class _State(Enum):
    OPENING = auto()
    LIVE = auto()


class Conversation:
    """What one connection has said and been told. No I/O: steps come out, the caller takes them.

    `expects_params`: the URL said `connectionParams=1`. `max_subscriptions`: open at one time.
    """

    __slots__ = (
        "_limits",
        "_max_subscriptions",
        "_phase",
        "_refusal",
        "_subscriptions",
        "is_binary",
        "speaks_v11",
    )

    def __init__(
        self, *, expects_params: bool, max_subscriptions: int, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._limits = limits
        self._phase = _Phase.GREETING if expects_params else _Phase.OPEN
        self._max_subscriptions = max_subscriptions
        self._subscriptions: dict[RequestId, tuple[Tag, _State]] = {}
        self._refusal: PeerError | None = None
        self.is_binary: bool | None = None
        """Whether the peer speaks MessagePack, in binary frames; None until it has said something."""
        self.speaks_v11 = expects_params
        """Whether the peer has shown itself a v11 client, which understands a text PING."""

    @property
    def open_subscriptions(self) -> int:
        """How many ids are opening or live."""
        return len(self._subscriptions)

    # ── what the peer says ───────────────────────────────────────────────────────────────────────────

    def receive(self, frame: str | bytes) -> Iterable[Step]:
        """The steps that one WebSocket message leads to, in order. Never raises for what a peer sends.

        Take each step before asking for the next, which may depend on it: those of a batch are made lazily.
        """
        if self._phase is _Phase.AUTHENTICATING:
            raise LedgerError("a message was read before the peer's params were judged")
        if self.is_binary is None:
            self._begin(frame)
        if self._phase is _Phase.GREETING and frame not in _WORDS:
            return self._greet(frame)
        try:
            read = decode if not self.is_binary or frame in _WORDS else binary.decode
            messages = read(frame, self._limits)
        except (Malformed, OverLimit) as error:
            return (_refusal(_NO_TAG, error),)
        is_suspect = may_be_deep(frame, self._limits.max_json_depth)
        if len(messages) == 1 and isinstance(messages[0], Request) and not is_suspect:  # nearly all
            return (self._request(messages[0]),)
        return self._steps(messages, is_suspect=is_suspect)

    def _steps(self, messages: Iterable[Incoming], *, is_suspect: bool) -> Iterator[Step]:
        for number, message in enumerate(messages, start=1):
            if isinstance(message, Request):
                refusal = self._excess(message, number, is_suspect=is_suspect)
                yield self._request(message) if refusal is None else refusal
            elif isinstance(message, Ping):
                self.speaks_v11 = True
                yield Answer(Pong())
            elif isinstance(message, Stop):
                yield from self._stop(message)

    def _excess(self, request: Request, number: int, *, is_suspect: bool) -> Answer | None:
        """The refusal of the `number`-th request of a batch, if it is one too many or, maybe, too deep."""
        limits = self._limits
        if number > limits.max_batch_length:
            message = f"a batch may have {limits.max_batch_length} calls"
            error = OverLimit("max_batch_length", "TOO_MANY_REQUESTS", message)
            return _refusal(request.tag, error, request.path)
        try:
            if is_suspect:
                check_depth(request.input, limits.max_json_depth)
        except OverLimit as error:
            return _refusal(request.tag, error, request.path)
        return None

    def _begin(self, frame: str | bytes) -> None:
        """Let the first message decide how this connection speaks."""
        if frame not in _WORDS:
            self.is_binary = isinstance(frame, bytes)
            self.speaks_v11 |= self.is_binary

    def _greet(self, frame: str | bytes) -> Iterator[Step]:
        try:
            params = binary.decode_params(frame) if self.is_binary else decode_params(frame)
        except Malformed as error:
            yield from self.refused(error)
            return
        self._phase = _Phase.AUTHENTICATING
        yield Authenticate(params)

    def _stop(self, message: Stop) -> Iterator[Step]:
        if message.tag.id is None:
            yield Answer(_failure(message.tag, Malformed("`id` is required")))
        elif entry := self._subscriptions.pop(message.tag.id, None):
            yield Cancel(entry[0])

    def _request(self, request: Request) -> Step:
        if request.last_event_id is not None:
            self.speaks_v11 = True
        if request.tag.id is None:
            return Answer(_failure(request.tag, Malformed("`id` is required")))
        refusal = self._refusal
        if request.kind == "subscription" and refusal is None:
            refusal = self._admit(request, request.tag.id)
        return request if refusal is None else _refusal(request.tag, refusal, request.path)

    def _admit(self, request: Request, request_id: RequestId) -> PeerError | None:
        """Note a subscription's id as `opening`, or say why not."""
        if request_id in self._subscriptions:
            return PeerError("BAD_REQUEST", f"Duplicate id {request_id}")
        if len(self._subscriptions) >= self._max_subscriptions:
            return OverLimit(
                "max_subscriptions_per_connection",
                "TOO_MANY_REQUESTS",
                f"this connection has {self._max_subscriptions} subscriptions open, which is its limit",
            )
        self._subscriptions[request_id] = (request.tag, _State.OPENING)
        return None

    # ── what the hub decides ─────────────────────────────────────────────────────────────────────────

    def accepted(self) -> None:
        """The peer's params are good: requests may follow."""
        if self._phase is not _Phase.AUTHENTICATING:
            raise LedgerError(f"accepted while {self._phase.name}")
        self._phase = _Phase.OPEN

    def refused(self, error: PeerError) -> list[Answer]:
        """The peer is refused: say so under id null, and answer each later request by its id."""
        if self._phase not in (_Phase.GREETING, _Phase.AUTHENTICATING):
            raise LedgerError(f"refused while {self._phase.name}")
        self._phase = _Phase.REFUSED
        self._refusal = error
        return [_refusal(_NO_TAG, error)]

    @property
    def is_refused(self) -> bool:
        """Whether this peer has been refused and waits only for the close."""
        return self._phase is _Phase.REFUSED

    def started(self, tag: Tag, *, recovered: bool | None = None) -> Started:
        """The subscription is open: opening becomes live."""
        self._expect(tag, _State.OPENING)
        self._subscriptions[_id_of(tag)] = (tag, _State.LIVE)
        return Started(tag, recovered)

    def missed(self, tag: Tag) -> Started:
        """The subscription, which is live, goes on after a gap: it is said to have started again."""
        self._expect(tag, _State.LIVE)
        return Started(tag, recovered=False)

    def finished(self, tag: Tag) -> Stopped:
        """The subscription is complete: its id is free again."""
        self._expect(tag, _State.LIVE)
        del self._subscriptions[_id_of(tag)]
        return Stopped(tag)

    def failed(self, tag: Tag, error: PeerError, path: str) -> list[Outgoing]:
        """The subscription failed: an error, and a `stopped` after it if it was live."""
        state = self._state_of(tag)
        if state is None:
            raise LedgerError(f"subscription {tag.id!r} is not open")
        del self._subscriptions[_id_of(tag)]
        failure = _failure(tag, error, path)
        return [failure, Stopped(tag)] if state is _State.LIVE else [failure]

    def is_open(self, tag: Tag) -> bool:
        """Whether this very request's subscription is opening or live."""
        return self._state_of(tag) is not None

    def _expect(self, tag: Tag, state: _State) -> None:
        found = self._state_of(tag)
        if found is not state:
            raise LedgerError(
                f"subscription {tag.id!r} is {found.name if found else 'over'}, not {state.name}"
            )

    def _state_of(self, tag: Tag) -> _State | None:
        """The state of this very request's subscription: a later one may have taken over its id."""
        entry = self._subscriptions.get(_id_of(tag))
        return entry[1] if entry is not None and entry[0] is tag else None


def _id_of(tag: Tag) -> RequestId:
    if tag.id is None:
        raise LedgerError("a subscription has an id")
    return tag.id


def _refusal(tag: Tag, error: PeerError, path: str | None = None) -> Answer:
    return Answer(_failure(tag, error, path), error.limit if isinstance(error, OverLimit) else "")


def _failure(tag: Tag, error: PeerError, path: str | None = None) -> Failure:
    return Failure(tag, error.code, error.message, path, error.data)
