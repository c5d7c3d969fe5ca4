"""What is open between one client and its hub, over however many connections it takes. No I/O, no clock.

Frames go out by `next_frame` and come in by `receive`; every law of the tRPC conversation that a client must
hold is here:

- an id is used once per client, and a request keeps its id when a new connection sends it again;
- when a connection is cut, subscriptions and repeatable calls are owed again, in the order they were made;
  every other call that had left is lost, because the hub may have acted on it;
- a subscription is repeated with the `lastEventId` that its reader was handed last;
- once the hub asks for a reconnect nothing new is sent, and the ledger is `parted` when no answer is awaited.

What waits to be sent is bounded by what is open: one frame per request, one stop per subscription that the
hub knows, one PING, one PONG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast, get_args

import orjson
from attrs import define, frozen

from adohub.errors import ErrorCode, PeerError

Method = Literal["query", "mutation", "subscription"]

_K = TypeVar("_K")
_CODES: tuple[str, ...] = get_args(ErrorCode)


@frozen
class Delivery:
    """One event of a subscription. `id` is what `last_event_id` takes; empty if the hub sent none."""

    id: str
    data: Any


@frozen
class Answered:
    """Call `id` has its answer."""

    id: int
    value: Any


@frozen
class Refused:
    """Call or subscription `id` ended with an error."""

    id: int
    error: PeerError


@frozen
class Delivered:
    """Subscription `id` has an event. `Ledger.advance` is due once its reader was handed it."""

    id: int
    delivery: Delivery


@frozen
class Stopped:
    """Subscription `id` is complete."""

    id: int


@frozen
class Rebuffed:
    """The hub complains of no request in particular: of this connection, which it may be about to close."""

    error: PeerError


Reception = Answered | Refused | Delivered | Stopped | Rebuffed


@define(eq=False)
class _Request:
    id: int
    method: Method
    path: str
    input: object
    repeatable: bool
    cursor: str | None = None
    frame_length: int = 0
    """Of the frame now on its way, in characters; 0 = not sent on this connection."""

    @property
    def awaited(self) -> bool:
        """The hub has this call and owes its answer."""
        return self.frame_length > 0 and self.method != "subscription"

    def frame(self) -> str:
        params: dict[str, Any] = {"path": self.path}
        if self.input is not None:
            params["input"] = self.input
        if self.cursor is not None:
            params["lastEventId"] = self.cursor
        return orjson.dumps({"id": self.id, "method": self.method, "params": params}).decode()


class Ledger:
    """The open requests of one client. Ids are handed out here and name requests from then on."""

    def __init__(self) -> None:
        self._last_id = 0
        self._open: dict[int, _Request] = {}
        self._unsent: dict[int, None] = {}
        self._stops: dict[int, None] = {}
        self._beats: dict[str, None] = {}
        self._leaving = False

    def ask(
        self, method: Literal["query", "mutation"], path: str, input: object, *, repeatable: bool = False
    ) -> int:
        """Opens a call. `repeatable`: sent twice, it acts once. An `input` of None is left out."""
        return self._admit(method, path, input, repeatable, None)

    def subscribe(self, path: str, input: object, last_event_id: str | None) -> int:
        """Opens a subscription that begins after `last_event_id`, or as its channel replays."""
        return self._admit("subscription", path, input, True, last_event_id)

    def forget(self, id: int) -> None:
        """Nobody waits for `id` any more: whatever comes for it is dropped, and the hub is told to stop."""
        request = self._open.pop(id, None)
        self._unsent.pop(id, None)
        if request and request.method == "subscription" and request.frame_length:
            self._stops[id] = None

    def advance(self, id: int, event_id: str) -> None:
        """The reader of subscription `id` holds event `event_id`: a later connection begins after it.

        An event without id clears the position, as it does in other tRPC clients: what follows it is unknown.
        """
        if id in self._open:
            self._open[id].cursor = event_id or None

    def ping(self) -> None:
        """Owes the hub a PING."""
        self._beats["PING"] = None

    def next_frame(self) -> str | None:
        """The next text frame to write, which is taken as written; None if there is nothing to say."""
        if self._beats:
            return _take_first(self._beats)
        if self._stops:
            stop = {"id": _take_first(self._stops), "method": "subscription.stop"}
            return orjson.dumps(stop).decode()
        if self._unsent and not self._leaving:
            request = self._open[_take_first(self._unsent)]
            frame = request.frame()
            request.frame_length = len(frame)
            return frame
        return None

    @property
    def parted(self) -> bool:
        """The hub asked for a new connection and this one owes no answer: it can be closed without loss."""
        return self._leaving and not any(request.awaited for request in self._open.values())

    def cut(self) -> list[int]:
        """The connection is gone. Gives the calls it took with it; all else is owed again."""
        lost = [request.id for request in self._open.values() if request.awaited and not request.repeatable]
        for request_id in lost:
            del self._open[request_id]
        for request in self._open.values():
            request.frame_length = 0
        self._unsent = dict.fromkeys(self._open)
        self._stops.clear()
        self._beats.clear()
        self._leaving = False
        return lost

    def refuse_largest(self) -> Refused | None:
        """The hub closed because a message was too big (1009): ends the call whose frame was the largest.

        Sent again it would only close the next connection too.
        """
        awaited = [request for request in self._open.values() if request.awaited]
        if not awaited:
            return None
        largest = max(awaited, key=lambda request: request.frame_length)
        del self._open[largest.id]
        size = f"{largest.frame_length} characters"
        return Refused(largest.id, PeerError("PAYLOAD_TOO_LARGE", f"the hub takes no message of {size}"))

    def receive(self, frame: str | bytes) -> Reception | None:
        """Takes one frame of the hub. None if nobody is to be told: keep-alive, notices, noise."""
        match frame:
            case "PING":
                self._beats["PONG"] = None
                return None
            case "PONG":
                return None
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return None
        return self._read(message)

    def _read(self, message: object) -> Reception | None:
        match message:
            case {"id": None, "error": error}:
                return Rebuffed(_peer_error(error))
            case {"id": None, "method": "reconnect"}:
                self._leaving = True
            case {"id": int(known), "error": error} if known in self._open:
                self._close(known)
                return Refused(known, _peer_error(error))
            case {"id": int(known), "result": dict(result)} if known in self._open:
                return self._read_result(self._open[known], result)
        return None

    def _read_result(self, request: _Request, result: Mapping[str, Any]) -> Reception | None:
        kind = result.get("type", "data")
        if request.method != "subscription":
            self._close(request.id)
            return Answered(request.id, result.get("data"))
        if kind == "stopped":
            self._close(request.id)
            return Stopped(request.id)
        if kind == "data":
            event_id = result.get("id")
            resumable = event_id if isinstance(event_id, str) else ""
            return Delivered(request.id, Delivery(resumable, result.get("data")))
        return None

    def _admit(self, method: Method, path: str, input: object, repeatable: bool, cursor: str | None) -> int:
        self._last_id += 1
        self._open[self._last_id] = _Request(self._last_id, method, path, input, repeatable, cursor)
        self._unsent[self._last_id] = None
        return self._last_id

    def _close(self, id: int) -> None:
        del self._open[id]
        self._unsent.pop(id, None)


def _take_first(waiting: dict[_K, None]) -> _K:
    first = next(iter(waiting))
    del waiting[first]
    return first


def _peer_error(error: object) -> PeerError:
    """The error object of a tRPC frame; names that adohub does not know become INTERNAL_SERVER_ERROR."""
    shape: dict[str, Any] = error if isinstance(error, dict) else {}
    data: dict[str, Any] = shape["data"] if isinstance(shape.get("data"), dict) else {}
    code = data.get("code") if data.get("code") in _CODES else "INTERNAL_SERVER_ERROR"
    extra = {name: value for name, value in data.items() if name not in ("code", "httpStatus")}
    return PeerError(cast("ErrorCode", code), str(shape.get("message") or ""), data=extra)
