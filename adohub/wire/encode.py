"""Messages become JSON bytes. A subscription's data is built of a prefix per cohort and a body per event.

`{"id":1,"result":{"type":"data","data":` + `PAYLOAD,"id":"EVENT"}}`: the first half is the same for every
event of a subscription, the second the same for every subscription of one view, so each is made once.
Events carry `result.id` beside the plain payload: @trpc/client 11 stores it and sends it back as
`lastEventId`, and hands the application the payload alone.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import orjson

from adohub.model import PARTIAL, Event
from adohub.wire.codes import CODES
from adohub.wire.messages import Data, Failure, Outgoing, Ping, Pong, Reconnect, Started, Stopped, Tag

_RECOVERED = {
    None: b'"result":{"type":"started"}}',
    True: b'"result":{"type":"started","recovered":true}}',
    False: b'"result":{"type":"started","recovered":false}}',
}


class View(NamedTuple):
    """What of an event a subscription shows: the payload or the `whole` event, bare or as `tracked()`.

    `revised` adds the event's `revision`, its offset, to the payload; `partial` marks its id (`PARTIAL`).
    """

    whole: bool = False
    tracked: bool = False
    revised: bool = False
    partial: bool = False


json_bytes = orjson.dumps
"""A value as JSON. Raises TypeError when it is no JSON (or nested deeper than 254)."""


@singledispatch
def encode(message: Outgoing) -> bytes:
    """The text frame's content for `message`."""
    raise TypeError(f"not a message: {message!r}")


@encode.register
def _(message: Started) -> bytes:
    return _opening(message.tag) + _RECOVERED[message.recovered]


@encode.register
def _(message: Data) -> bytes:
    return answer(message.tag, message.body)


@encode.register
def _(message: Stopped) -> bytes:
    return _opening(message.tag) + b'"result":{"type":"stopped"}}'


@encode.register
def _(message: Failure) -> bytes:
    return failure(message.tag, json_bytes(error_shape(message)))


@encode.register
def _(message: Reconnect) -> bytes:
    return b'{"id":null,"method":"reconnect"}'


@encode.register
def _(message: Ping) -> bytes:
    return b"PING"


@encode.register
def _(message: Pong) -> bytes:
    return b"PONG"


def error_shape(message: Failure) -> dict[str, Any]:
    """tRPC's `{message, code, data: {code, httpStatus, path}}`."""
    numbers = CODES[message.code]
    data: dict[str, Any] = {"code": message.code, "httpStatus": numbers.http_status}
    if message.path is not None:
        data["path"] = message.path
    return {"message": message.message, "code": numbers.number, "data": dict(message.data) | data}


def failure(tag: Tag, shape: bytes) -> bytes:
    """The content of the text frame that says this error shape, which is JSON."""
    return _opening(tag) + b'"error":' + shape + b"}"


def answer(tag: Tag, body: bytes | None) -> bytes:
    """The content of the text frame that answers a query or mutation, as `Data` says it."""
    if body is None:
        return _opening(tag) + b'"result":{"type":"data"}}'
    if tag.jsonrpc:
        return data_prefix(tag) + body + b"}}"
    return b'{"id":%b,"result":{"type":"data","data":%b}}' % (json_bytes(tag.id), body)


def data_prefix(tag: Tag) -> bytes:
    """Everything before the payload in a data message for `tag`; `data_end` goes after it."""
    return _opening(tag) + b'"result":{"type":"data","data":'


def data_end(shown: bytes, event_id: bytes) -> bytes:
    """Everything from the payload on in a data message: what is shown, and the event's id, both as JSON."""
    return b'%b,"id":%b}}' % (shown, event_id)


def shown_id(event: Event, view: View) -> str:
    """The id that `event` is given with."""
    return event.id + PARTIAL if view.partial else event.id


def shown_event(event: Event, view: View) -> bytes:
    """What `view` shows of `event`, as JSON, before it is `tracked`."""
    shown = whole_event(event) if view.whole else event.body
    if view.revised:
        shown = b'%b%b"revision":%d}' % (shown[:-1], b"," if len(shown) > 2 else b"", event.position.offset)
    return shown


def whole_event(event: Event) -> bytes:
    """`{id, topic, key, payload, timestamp}` as JSON."""
    return b'{"id":%b,"topic":%b,"key":%b,"payload":%b,"timestamp":%b}' % (
        json_bytes(event.id),
        json_bytes(event.topic),
        json_bytes(event.key),
        event.body,
        json_bytes(event.timestamp),
    )


def _opening(tag: Tag) -> bytes:
    return (b'{"id":%b,"jsonrpc":"2.0",' if tag.jsonrpc else b'{"id":%b,') % json_bytes(tag.id)
