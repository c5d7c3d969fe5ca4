"""The `memory` storage engine: everything in this process, gone with it.

Every start is a new epoch, so that ids of an earlier run are known for what they are.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from adohub import (
    Draft,
    Event,
    History,
    Newest,
    Page,
    Position,
    Receipt,
    Repeats,
    Selection,
    Storage,
    StorageEngine,
    StorageSettings,
    Unshared,
    from_fields,
    hookimpl,
)

_position, _receipt = from_fields(Position), from_fields(Receipt)


class MemoryStorage(Unshared):
    """See `adohub.Storage`. `clock` gives seconds; it dates events, idempotency keys and ended keys."""

    def __init__(self, settings: StorageSettings, clock: Any = time.monotonic) -> None:
        self._settings = settings
        self._instance = settings.instance
        self._clock = clock
        self._epoch = f"{int(time.time()):08x}{secrets.token_hex(2)}"
        self._history = History(settings, self._epoch, clock)
        self._repeats = Repeats(settings)
        self._offset = 0

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        await trio.lowlevel.checkpoint()
        moment = self._clock()
        self._repeats.forget(moment)
        receipts = [self._keep(draft, moment) for draft in drafts]
        self._history.trim(moment)
        self._history.tell()
        return receipts

    def _keep(self, draft: Draft, moment: float) -> Receipt:
        topic, key, body, timestamp, name, idempotency_key, ends, if_revision, notes = draft
        author = (name, idempotency_key) if idempotency_key else None
        first = self._repeats.find(author, moment) if author is not None else None
        if first is not None:
            return first
        if if_revision is not None or topic in self._settings.state_keys:
            place = (topic, key)
            rejection = self._history.rejection(place, if_revision)
            if rejection:
                found = Position(self._epoch, self._history.revision(place))
                return Receipt(found, "", rejected=rejection)
        self._offset += 1
        self._history.add((self._offset, topic, key, body, timestamp, notes), ends, moment)
        receipt = _receipt((_position((self._epoch, self._offset)), timestamp, False, ""))
        if author is not None:
            self._repeats.note(author, moment, receipt)
        return receipt

    async def check(self) -> None:
        await trio.lowlevel.checkpoint()

    def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        return self._history.follow(after)

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        return await self._history.read(selection, after, limit)

    async def latest(self, selection: Selection) -> Newest:
        return await self._history.latest(selection)

    def head(self) -> Position:
        return self._history.head()

    def tail(self) -> Position:
        return self._history.tail()


@asynccontextmanager
async def open_memory(settings: StorageSettings) -> AsyncIterator[Storage]:
    """A fresh memory storage."""
    yield MemoryStorage(settings)


@hookimpl
def adohub_storage_engines(config: object) -> list[StorageEngine]:
    return [StorageEngine("memory", open_memory)]
