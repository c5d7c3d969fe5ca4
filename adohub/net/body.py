"""The body of an HTTP request, as far as it is welcome: by its length, or chunk by chunk through h11."""

from __future__ import annotations

import h11

from adohub.net.head import Head, HeadRefused
from adohub.net.outbox import Outbox

PIECE_BYTES = 1024
"""How much of a chunked body h11 gets at a time: some faults take it time that grows with their square."""

_CHUNKED = b"POST / HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n"


async def read_body(outbox: Outbox, head: Head, limit_bytes: int) -> tuple[bytes, bytes]:
    """The body that follows `head`, whose length has been checked, and what came behind it.

    Raises HeadRefused: 400 if malformed, 413 for chunks that are too long together.
    """
    if head.is_chunked:
        return await _read_chunks(outbox, head.rest, limit_bytes)
    body = bytearray(head.rest)
    while len(body) < head.content_length:
        data = await outbox.receive_some()
        if not data:
            raise HeadRefused(400, "the request's body ends early")
        body += data
    return bytes(body[: head.content_length]), bytes(body[head.content_length :])


def check_length(length: int, limit_bytes: int) -> None:
    """Raises HeadRefused if a body of `length` bytes is too long."""
    if length > limit_bytes:
        raise HeadRefused(413, f"the body is longer than {limit_bytes} bytes", limit="max_message_bytes")


async def _read_chunks(outbox: Outbox, came: bytes, limit_bytes: int) -> tuple[bytes, bytes]:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=PIECE_BYTES)
    parser.receive_data(_CHUNKED)
    parser.next_event()
    outbox.unread(came)
    body = bytearray()
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            raise HeadRefused(400, "the request's body cannot be read") from error
        if event is h11.NEED_DATA:
            parser.receive_data(await outbox.receive_some(PIECE_BYTES))
        elif isinstance(event, h11.Data):
            body += event.data
            check_length(len(body), limit_bytes)
        else:
            return bytes(body), parser.trailing_data[0] + outbox.take_unread()
