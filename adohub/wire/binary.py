"""tRPC over WebSockets in MessagePack: binary frames, for clients with a binary encoder.

The messages are those of `wire/encode` and `wire/decode`, with octets where JSON has base64 text. The words
PING and PONG stay text frames.

Source: @trpc/client 11.25, `experimental_encoder`.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from adohub.config import Limits
from adohub.model import Event
from adohub.notes import Path, below, gathered
from adohub.structuring import Marks
from adohub.wire.decode import DEFAULT_LIMITS, Malformed, messages_in, params_in
from adohub.wire.dialect import Transformer
from adohub.wire.encode import View, encode, error_shape, shown_id
from adohub.wire.frame import binary_frame, binary_header, text_frame
from adohub.wire.messages import Data, Failure, Incoming, Outgoing, Params, Ping, Pong, Tag
from adohub.wire.noting import Noting
from adohub.wire.packed import map_header, pack, pack_json, packed_text, unpack

_ID, _JSONRPC, _RESULT, _ERROR = map(packed_text, ("id", "jsonrpc", "result", "error"))
_VERSION = packed_text("2.0")
_TYPE_IS_DATA = packed_text("type") + packed_text("data") + packed_text("data")


def decode(frame: str | bytes, limits: Limits = DEFAULT_LIMITS) -> list[Incoming]:
    """The messages in one WebSocket message, as `adohub.wire.decode.decode` reads them, and raises."""
    value = _value(frame)
    return messages_in([_bare(each) for each in value] if isinstance(value, list) else _bare(value), limits)


def decode_params(frame: str | bytes) -> Params:
    """The connection params, as `adohub.wire.decode.decode_params` reads them, and raises."""
    try:
        value = _value(frame)
    except Malformed:
        value = None
    return params_in(value)


def _value(frame: str | bytes) -> Any:
    if isinstance(frame, str):
        raise Malformed("this connection began with MessagePack in binary frames; this is text")
    return unpack(frame)


def _bare(message: Any) -> Any:
    """`message` without notes of its own, and without what an encoder writes for undefined."""
    if not isinstance(message, dict):
        return message
    bare = dict(message)
    params = bare.get("params")
    if isinstance(params, dict):
        bare["params"] = params = dict(params)
        if params.get("lastEventId", "") is None:
            del params["lastEventId"]
    return bare


@frozen(eq=False)
class BinaryFrames:
    """The dialect. `at` is where in what the `transformer` makes of a value that value itself lies."""

    transformer: Transformer
    noting: Noting
    at: Path = ()

    header = staticmethod(binary_header)

    def read(self, value: Any) -> Any:
        """See `Values`."""
        return self.transformer.read(value)

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """See `Values`."""
        notes = (*gathered(value), *(marks.find(value) if marks else ()))
        return pack_json(self.transformer.value(value, marks), below(notes, *self.at))

    def message(self, message: Outgoing) -> bytes:
        """See `Dialect`."""
        match message:
            case Ping() | Pong():
                return text_frame(encode(message))
            case Data(tag, body):
                if body is None:
                    return binary_frame(_opening(tag) + _RESULT + pack({"type": "data"}))
                return binary_frame(_opening(tag) + _RESULT + map_header(2) + _TYPE_IS_DATA + body)
            case Failure():
                shape = pack_json(self.transformer.value(error_shape(message)))
                return binary_frame(_opening(message.tag) + _ERROR + shape)
            case _:
                return binary_frame(pack_json(encode(message)))

    def prefix(self, tag: Tag) -> bytes:
        """See `Dialect`."""
        return _opening(tag) + _RESULT + map_header(3) + _TYPE_IS_DATA

    def body(self, event: Event, view: View) -> bytes:
        """See `Dialect`."""
        notes = below(self.noting.shown(event, view), *self.at)
        shown = pack_json(self.transformer.event(event, view), notes)
        return shown + _ID + packed_text(shown_id(event, view))


def _opening(tag: Tag) -> bytes:
    """A map of the tag and of one thing more."""
    if tag.jsonrpc:
        return map_header(3) + _ID + pack(tag.id) + _JSONRPC + _VERSION
    return map_header(2) + _ID + pack(tag.id)
