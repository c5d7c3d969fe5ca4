"""Subscriptions as server-sent events, the way @trpc/client's httpSubscriptionLink reads them.

    connected           the subscription is open (see there)          `started`
    (no name)           data; with an id the client hands on `{id, data}`
    return              it is complete                                `stopped`
    serialized-error    it is refused, or has failed                  `error`
    ping                a sign of life

Source: @trpc/client 11.25, and the HTML standard for how an EventSource treats ids. An event with an id would
reach the application wrapped, so only what is `tracked` carries its own. Plain data goes with an empty one,
and a `ping` right behind it gives the EventSource the id to resume from: both are one write, so that they
are parted only by a cut between the two.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from adohub.model import Event
from adohub.structuring import Marks
from adohub.wire.dialect import Transformer
from adohub.wire.encode import View, error_shape, json_bytes, shown_id
from adohub.wire.messages import Failure, Outgoing, Ping, Stopped, Tag

CONTENT_TYPE = "text/event-stream"

HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
"""What keeps proxies from holding events back."""


@frozen(eq=False)
class ServerSentEvents:
    """The dialect of an event stream, whose messages do not say for whom they are: there is but one."""

    transformer: Transformer

    def read(self, value: Any) -> Any:
        """See `Values`."""
        return self.transformer.read(value)

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """See `Values`."""
        return self.transformer.value(value, marks)

    def header(self, length: int) -> bytes:
        """See `Dialect`: a blank line ends an event."""
        del length
        return b""

    def prefix(self, tag: Tag) -> bytes:
        """See `Dialect`."""
        del tag
        return b""

    def body(self, event: Event, view: View) -> bytes:
        """See `Dialect`."""
        shown = self.transformer.event(event, view._replace(tracked=False))
        event_id = shown_id(event, view).encode()
        if view.tracked:
            return b"data: %b\nid: %b\n\n" % (shown, event_id)
        return b"data: %b\nid:\n\nevent: ping\ndata:\nid: %b\n\n" % (shown, event_id)

    def message(self, message: Outgoing) -> bytes:
        """See `Dialect`. Raises TypeError for what is not said here."""
        match message:
            case Stopped():
                return b"event: return\ndata:\n\n"
            case Failure():
                shape = self.transformer.value(error_shape(message))
                return b"event: serialized-error\ndata: %b\n\n" % shape
            case Ping():
                return b"event: ping\ndata:\n\n"
            case _:
                raise TypeError(f"an event stream does not say {message!r}")


def connected(*, recovered: bool | None = None, inactivity_ms: int | None = None) -> bytes:
    """The first event, and said again after a gap in the middle of a subscription.

    After `inactivity_ms` of silence a client gives the connection up, and comes back with the id of the last
    event that had one of its own; so this is for `tracked` data.
    """
    options: dict[str, Any] = {}
    if inactivity_ms is not None:
        options["reconnectAfterInactivityMs"] = inactivity_ms
    if recovered is not None:
        options["recovered"] = recovered
    return b"event: connected\ndata: %b\n\n" % json_bytes(options)


def retry(after_ms: int) -> bytes:
    """Tells an EventSource how long to wait before it comes back."""
    return b"retry: %d\n\n" % after_ms
