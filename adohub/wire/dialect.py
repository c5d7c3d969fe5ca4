"""How what is said becomes the bytes that one kind of connection is sent: one `Dialect` for each kind.

A subscription's data is made in three parts, so that none is made more often than it differs: a body per
event and view, a prefix per cohort, and a header, which only depends on how long both are.

Values within are written by a `Transformer`, which is what tRPC calls how values become JSON.
"""

from __future__ import annotations

from typing import Any, Protocol

from attrs import frozen

from adohub.model import Event
from adohub.structuring import Marks
from adohub.wire.encode import (
    View,
    answer,
    data_end,
    data_prefix,
    encode,
    error_shape,
    failure,
    json_bytes,
    shown_event,
    shown_id,
)
from adohub.wire.frame import text_frame, text_header
from adohub.wire.messages import Data, Failure, Outgoing, Tag


class Values(Protocol):
    """How inputs are read and results written."""

    def read(self, value: Any) -> Any:
        """An input as JSON-ready values, ABSENT for `undefined`. Raises PeerError."""
        ...

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """A procedure's result, for the body of `Data`; `marks` are those of its type, if that is known.

        Raises TypeError for what cannot be written.
        """
        ...


class Transformer(Values, Protocol):
    """How values become JSON and back."""

    def event(self, event: Event, view: View) -> bytes:
        """What `view` shows of `event`, as `{id, data}` where it is tracked."""
        ...

    def embed(self, before: bytes, value: bytes, after: bytes, path: str) -> bytes:
        """What `value()` gave as the part at `path` of a larger value; `before` and `after` are its JSON."""
        ...


class Plain:
    """`[server] transformer = "none"`: values are the JSON they look like."""

    def read(self, value: Any) -> Any:
        """See `Values`."""
        return value

    def event(self, event: Event, view: View) -> bytes:
        """See `Transformer`."""
        shown = shown_event(event, view)
        if view.tracked:
            shown = b'{"id":%b,"data":%b}' % (json_bytes(shown_id(event, view)), shown)
        return shown

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """See `Values`."""
        del marks
        return json_bytes(value)

    def embed(self, before: bytes, value: bytes, after: bytes, path: str) -> bytes:
        """See `Transformer`."""
        del path
        return before + value + after


class Dialect(Values, Protocol):
    """What the bytes of one kind of connection are. All of it is pure; a dialect equals itself alone."""

    def __hash__(self) -> int: ...

    def message(self, message: Outgoing) -> bytes:
        """All of `message`, ready for the socket."""
        ...

    def header(self, length: int) -> bytes:
        """What goes before a prefix and a body of this length together."""
        ...

    def prefix(self, tag: Tag) -> bytes:
        """What the data messages of a subscription have in common."""
        ...

    def body(self, event: Event, view: View) -> bytes:
        """What the data message of an event is for all who see it in this view."""
        ...


@frozen(eq=False)
class TextFrames:
    """tRPC over WebSockets as all clients speak it: JSON in text frames."""

    transformer: Transformer

    header = staticmethod(text_header)
    prefix = staticmethod(data_prefix)

    def read(self, value: Any) -> Any:
        """See `Values`."""
        return self.transformer.read(value)

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """See `Values`."""
        return self.transformer.value(value, marks)

    def message(self, message: Outgoing) -> bytes:
        """See `Dialect`."""
        if isinstance(message, Data):  # by far most of them
            return text_frame(answer(message.tag, message.body))
        if isinstance(message, Failure):
            return text_frame(failure(message.tag, self.transformer.value(error_shape(message))))
        return text_frame(encode(message))

    def body(self, event: Event, view: View) -> bytes:
        """See `Dialect`."""
        return data_end(self.transformer.event(event, view), json_bytes(shown_id(event, view)))


class PlainTextFrames(TextFrames):
    """What nearly all clients speak, in fewer steps."""

    def body(self, event: Event, view: View) -> bytes:
        """See `Dialect`. Says what TextFrames would, whose steps one by one cost a tenth of a delivery."""
        if view.tracked or view.whole or view.revised or view.partial:
            return super().body(event, view)
        return b'%b,"id":"%b"}}' % (event.body, str(event.position).encode())


PLAIN = Plain()
JSON_FRAMES = PlainTextFrames(PLAIN)
