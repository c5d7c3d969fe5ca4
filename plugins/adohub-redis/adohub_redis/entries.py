"""How events lie in Redis: drafts on their way there, entries and newest events on their way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adohub import Draft, Place, Record, StorageError, from_fields
from adohub_redis.link import Value


class Arrived(NamedTuple):
    """An event of the stream: of what topics it is the end, and when it arrived, in seconds by the server.

    `is_heard`: it was taken in from the channel.
    """

    record: Record
    ends: Sequence[str]
    moment: float
    is_heard: bool


_arrived = from_fields(Arrived)
_NOTHING: tuple[str, ...] = ()


def arguments(drafts: Sequence[Draft]) -> Iterator[Value]:
    """What `append.lua` takes, nine for each draft."""
    for topic, key, body, timestamp, name, idempotency_key, ends, if_revision, notes in drafts:
        yield topic
        yield topic if key is None else f"{topic}\n{key}"
        yield body
        yield timestamp
        yield f"{name}\n{idempotency_key}" if idempotency_key else ""
        yield " ".join(ends)
        yield "" if if_revision is None else if_revision
        yield notes
        yield key or ""


def arrived(entry: tuple[bytes, Sequence[bytes]]) -> Arrived:
    """What an entry of the stream says, whose fields `append.lua` writes in this order.

    Raises StorageError for one that somebody else has written.
    """
    identifier, fields = entry
    try:
        _, topic, _, timestamp, _, moment, _, body, *others = fields
    except ValueError:
        raise StorageError(f"entry {identifier.decode()} of the stream is not adohub's: remove it") from None
    key, notes, ends, is_heard = None, b"", _NOTHING, False
    for name, value in zip(others[::2], others[1::2], strict=True):
        if name == b"key":
            key = value.decode()
        elif name == b"notes":
            notes = value
        elif name == b"ends":
            ends = tuple(value.decode().split())
        elif name == b"heard":
            is_heard = True
    record = (offset_of(identifier), topic.decode(), key, body, timestamp.decode(), notes)
    return _arrived((record, ends, float(moment), is_heard))


def offset_of(identifier: bytes) -> int:
    """The offset of the event that has this id in the stream."""
    return int(identifier[:-2])


def place_of(name: bytes) -> Place:
    """The topic and key that a field of `newest` is about."""
    topic, line_feed, key = name.decode().partition("\n")
    return topic, key if line_feed else None


def newest(name: bytes, value: bytes) -> Record:
    """The newest event of a place, as it is kept beyond history."""
    offset, timestamp, notes, body = value.split(b"\n", 3)
    topic, key = place_of(name)
    return int(offset), topic, key, body, timestamp.decode(), notes
