"""What produces events by itself, and what it publishes them with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from attrs import frozen


class Publish(Protocol):
    """How a source publishes: `await publish(topic, payload)` returns the event id once storage holds it.

    `payload` is an instance of the topic's class, or a mapping in wire form. `idempotency_key` makes a
    repetition harmless, on whichever hub a source of this name has published it. Raises PeerError for an
    event that the topic does not allow, StorageError when it cannot be kept.

    It is in line for storage as soon as this is called: several may be called before the first is awaited,
    and are kept in this order.
    """

    def __call__(
        self, topic: str, payload: object, /, *, idempotency_key: str | None = None
    ) -> Coroutine[Any, Any, str]: ...


@frozen
class Source:
    """A long-running producer: `run(publish)` is supervised, and restarted with backoff when it raises."""

    name: str
    run: Callable[[Publish], Awaitable[None]]
