"""The memory engine, whose epoch ends when a test says so: flushed, or failed over to what a replica had."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import trio

from adohub.builtin.memory import MemoryStorage
from adohub.model import Draft, Event, Position
from adohub.plugin.history import History
from adohub.plugin.storage import Located, Receipt, StorageSettings
from tests.hub.making import SETTINGS


class BreakingStorage(MemoryStorage):
    """The memory engine, with an epoch that can end. `breaks`: how often it has."""

    def __init__(self, settings: StorageSettings = SETTINGS) -> None:
        super().__init__(settings)
        self.breaks = 0
        self._kept: list[tuple[int, Draft]] = []
        self._ancestors: set[str] = set()

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        receipts = await super().append(drafts)
        self._kept += (
            (receipt.position.offset, draft) for receipt, draft in zip(receipts, drafts, strict=True)
        )
        return receipts

    def flush(self) -> None:
        """Forget everything, and begin to count anew."""
        self._ancestors.clear()
        self._kept.clear()
        self._offset = 0
        self._begin_anew()

    def fail_over(self, lost: int = 1) -> None:
        """Go on without the newest `lost` events. No offset is used again."""
        self._ancestors.add(self._epoch)
        del self._kept[len(self._kept) - min(lost, len(self._kept)) :]
        self._begin_anew()

    def leave_out(self, number: int) -> None:
        """Let go of the next `number` events before anybody is given them, and of all before."""
        self._offset += number
        ended, self._history = (
            self._history,
            History(self._settings, self._epoch, self._clock, after=self._offset),
        )
        ended.close()

    def _begin_anew(self) -> None:
        ended, self.breaks = self._history, self.breaks + 1
        self._epoch = f"{self._epoch}0"
        self._history = History(self._settings, self._epoch, self._clock)
        for offset, draft in self._kept:
            record = offset, draft.topic, draft.key, draft.body, draft.timestamp, draft.notes
            self._history.add(record, draft.ends, self._clock())
        ended.close()

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        await trio.lowlevel.checkpoint()
        if after.epoch == self._epoch:
            async with aclosing(super().follow(after)) as batches:
                async for batch in batches:
                    yield batch

    def locate(self, seen: Position) -> Located:
        if seen.epoch in self._ancestors:
            return Located(max(self.tail(), Position(self._epoch, seen.offset)), whole=False)
        return super().locate(seen)
