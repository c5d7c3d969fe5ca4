"""The words that checks of a storage engine are written in: drafts, naive reading, and the engine itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager

import orjson
import trio
from attrs import frozen

from adohub import Draft, Event, Position, Selection, Storage, StorageSettings
from adohub.notes import Notes, to_bytes
from adohub.topics import matches

EVERYTHING = Selection(["**"])


@frozen
class Engine:
    """The engine under test: how to open it, and how to make its time pass (in seconds).

    `durable`: opened again, it has what it had, and its epoch; otherwise it begins anew. `lose` makes a
    durable engine forget everything, as if its disk had been replaced, while it is not open.
    """

    open: Callable[[StorageSettings], AbstractAsyncContextManager[Storage]]
    pass_time: Callable[[float], Awaitable[None]]
    durable: bool = False
    lose: Callable[[], Awaitable[None]] | None = None


Check = Callable[[Engine], Awaitable[None]]

CHECKS: list[Check] = []
"""What every engine is put through; each check takes an engine that has kept nothing yet."""

DURABLE_CHECKS: list[Check] = []
"""What durable engines are put through besides."""


def check(function: Check) -> Check:
    """Put `function` among the checks."""
    CHECKS.append(function)
    return function


def durable_check(function: Check) -> Check:
    """Put `function` among the checks of durable engines."""
    DURABLE_CHECKS.append(function)
    return function


def settings(
    *,
    max_events: int = 1000,
    max_age_s: float = 3600,
    idempotency_window_s: float = 60,
    ended_s: float = 60,
    state_keys: int = 100,
) -> StorageSettings:
    """`[storage]` as the checks use it; "state" is their state topic."""
    return StorageSettings(
        max_events, max_age_s, idempotency_window_s, ended_s=ended_s, state_keys={"state": state_keys}
    )


def draft(
    topic: str = "t.a",
    key: str | None = None,
    *,
    author: str = "ann",
    again: str | None = None,
    moment: str = "2026-01-02T03:04:05.678Z",
    ends: Sequence[str] = (),
    if_revision: int | None = None,
    notes: Notes = (),
    **payload: object,
) -> Draft:
    """A draft; `again` is its idempotency key."""
    return Draft(
        topic,
        key,
        orjson.dumps(payload),
        moment,
        author,
        again,
        tuple(ends),
        if_revision,
        to_bytes(notes),
    )


def drafts(*topics_and_keys: str) -> list[Draft]:
    """`"t.a/k"` is a draft of topic t.a and key k; each is numbered."""
    return [
        draft(topic, key or None, number=number)
        for number, (topic, _, key) in enumerate(one.partition("/") for one in topics_and_keys)
    ]


async def read_all(
    storage: Storage, selection: Selection, after: Position | None = None, *, limit: int = 100
) -> list[Event]:
    """Every page after `after`, holding each to what pages promise."""
    at = after if after is not None else storage.tail()
    found: list[Event] = []
    while True:
        page = await storage.read(selection, at, limit)
        assert len(page.events) <= limit
        assert all(at < event.position <= page.reached for event in page.events)
        assert page.reached > at or not page.more, "a page that comes nowhere"
        found += page.events
        at = page.reached
        if not page.more:
            assert at >= storage.head()
            return found


def chosen(selection: Selection, events: Iterable[Event]) -> list[Event]:
    """What `selection` means, spelt out."""

    def any_of(patterns: Sequence[str], topic: str) -> bool:
        return any(matches(pattern, topic) for pattern in patterns)

    return [
        event
        for event in events
        if any_of(selection.topics, event.topic)
        and (selection.visible is None or any_of(selection.visible, event.topic))
        and selection.key in (None, event.key)
        and all(event.payload.get(name) == value for name, value in selection.where)
    ]


def newest(events: Iterable[Event]) -> list[Event]:
    """The last of each (topic, key), in order."""
    found = {(event.topic, event.key): event for event in events}
    return sorted(found.values(), key=lambda event: event.position)


async def follow_until(storage: Storage, after: Position, end: Callable[[], Position]) -> list[Event]:
    """What `follow` yields up to the event at `end()`."""
    seen: list[Event] = []
    with trio.CancelScope() as scope:
        async for batch in storage.follow(after):
            seen += batch
            if seen and seen[-1].position >= end():
                scope.cancel()
    return seen


async def until(condition: Callable[[], bool]) -> None:
    """Let the others run until `condition` holds; the check's own deadline says when it never will."""
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await trio.sleep(0.001)
