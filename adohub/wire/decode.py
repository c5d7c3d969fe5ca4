"""Text from a peer becomes messages, or a `Malformed` that says what is wrong: nothing else comes out.

The checks, their order and their wording follow @trpc/server 11.25 (`parseTRPCMessage`), so that a client
developer sees the texts already known. One bad element of a batch fails the whole batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any

import orjson

from adohub.config import Limits
from adohub.errors import OverLimit, PeerError
from adohub.model import from_fields
from adohub.wire.messages import (
    ABSENT,
    Incoming,
    Params,
    Ping,
    Pong,
    Request,
    Stop,
    Tag,
)

PING_TEXT = "PING"
PONG_TEXT = "PONG"

_KINDS = frozenset(("query", "mutation", "subscription"))
_ID_TYPES = frozenset((int, float, str, NoneType))
"""JSON values are of exactly these classes: a bool is none of them."""

_BINARY_REFUSED = (
    "this connection began with JSON in text frames; a client with a binary encoder uses it for all messages"
)


DEFAULT_LIMITS = Limits()

_tag, _request = from_fields(Tag), from_fields(Request)


class Malformed(PeerError):
    """The peer said something that is no message. Answered with `PARSE_ERROR` under id null."""

    def __init__(self, message: str) -> None:
        super().__init__("PARSE_ERROR", message)


def decode(frame: str | bytes, limits: Limits = DEFAULT_LIMITS) -> list[Incoming]:
    """The messages in one WebSocket message: usually one, several for a batch, none for `[]`.

    Raises Malformed for anything that is not tRPC, OverLimit for more than `limits` allow. A request with id
    null is returned as such: refusing it is a matter of that request, not of the frame.
    """
    if frame == PING_TEXT:
        return [Ping()]
    if frame == PONG_TEXT:
        return [Pong()]
    if isinstance(frame, bytes):
        raise Malformed(_BINARY_REFUSED)
    return messages_in(parse_json(frame), limits)


def messages_in(value: Any, limits: Limits) -> list[Incoming]:
    """The messages that `value`, a WebSocket message's, stands for. Raises Malformed, OverLimit."""
    most = limits.max_id_bytes
    return (
        [message_in(each, most) for each in value] if isinstance(value, list) else [message_in(value, most)]
    )


def check_id(text: str, most: int, what: str = "id") -> None:
    """Raises OverLimit if `text`, an id by the name of `what`, has more than `most` bytes."""
    if 4 * len(text) > most and len(text.encode(errors="replace")) > most:
        raise OverLimit("max_id_bytes", "BAD_REQUEST", f"{what}: expected 1 to {most} bytes")


def decode_params(frame: str | bytes) -> Params:
    """The first message of a connection opened with `?connectionParams=1`. Raises Malformed.

    As in the reference server the `method` in it is not looked at; `data` is null or an object of strings.
    """
    try:
        value = parse_json(frame) if isinstance(frame, str) else None
    except Malformed:
        value = None
    return params_in(value)


def params_in(value: Any) -> Params:
    """The connection params that `value`, the first message, says. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("Malformed TRPCConnectionParamsMessage")
    data = value.get("data", ABSENT)
    if data is None:
        return Params(None)
    if not isinstance(data, dict) or not all(isinstance(item, str) for item in data.values()):
        raise Malformed("Invalid connection params shape")
    return Params(data)


def parse_json(text: str | bytes) -> Any:
    """The JSON value in `text`. Raises Malformed with the parser's own words.

    Lone surrogates (half an emoji, cut by a JavaScript `slice`) are legal JSON to every client; they are
    read as U+FFFD, because UTF-8 cannot carry them on.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _parse_surrogates(text, str(error))


def _parse_surrogates(text: str | bytes, complaint: str) -> Any:
    if (b"\\u" if isinstance(text, bytes) else "\\u") not in text:  # type: ignore[operator]
        raise Malformed(complaint)
    try:
        repaired = json.dumps(json.loads(text), ensure_ascii=False)
        return orjson.loads(repaired.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError) as error:
        raise Malformed(complaint) from error


def message_in(value: Any, max_id_bytes: int = DEFAULT_LIMITS.max_id_bytes) -> Request | Stop:
    """The message that `value` is. Raises Malformed, OverLimit.

    One function without helpers: it runs for every message, and a call would cost a twentieth of it.
    """
    if value.__class__ is not dict:
        raise Malformed("Not an object")
    request_id = value.get("id", ABSENT)
    if request_id.__class__ not in _ID_TYPES:
        raise Malformed("Invalid request id")
    if request_id.__class__ is str:
        check_id(request_id, max_id_bytes)
    tag = _tag((request_id, "jsonrpc" in value and _jsonrpc(value)))
    method: Any = value.get("method")
    if method.__class__ is not str or method not in _KINDS:
        if method == "subscription.stop":
            return Stop(tag)
        raise Malformed("Invalid procedure type")
    params = value.get("params")
    if params.__class__ is not dict:
        raise Malformed("Not an object")
    path = params.get("path")
    last_event_id = params.get("lastEventId", "")
    if path.__class__ is not str or last_event_id.__class__ is not str:
        raise Malformed("Invalid string")
    resumes = "lastEventId" in params
    if resumes:
        check_id(last_event_id, max_id_bytes, "lastEventId")
    return _request((tag, method, path, params.get("input", ABSENT), last_event_id if resumes else None))


def _jsonrpc(fields: Mapping[str, Any]) -> bool:
    if fields["jsonrpc"] != "2.0":
        raise Malformed("Must be JSONRPC 2.0")
    return True
