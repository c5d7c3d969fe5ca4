"""The last delivered events, so that a cursor's last steps to the head need no storage."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from adohub.model import Event, Position, size_of
from adohub.plugin.storage import Page
from adohub.topics import Selection

RECENT_EVENTS = 512
"""How many delivered events are remembered."""

RECENT_BYTES = 4 * 1024 * 1024
"""How many bytes of payload the remembered events may have."""


class Recent:
    """All that was delivered from some position up to the head, which is `head` to begin with."""

    def __init__(self, head: Position) -> None:
        self._head = self._after = head
        self._batches: deque[Sequence[Event]] = deque()
        self._events = self._bytes = 0

    def add(self, batch: Sequence[Event]) -> None:
        """`batch` has been delivered, which is remembered as one and forgotten as one."""
        self._batches.append(batch)
        self._events += len(batch)
        self._bytes += size_of(batch)
        while self._events > RECENT_EVENTS or self._bytes > RECENT_BYTES:
            forgotten = self._batches.popleft()
            self._events -= len(forgotten)
            self._bytes -= size_of(forgotten)
            self._after = forgotten[-1].position
        self._head = batch[-1].position

    def covers(self, after: Position) -> bool:
        """Whether it has all that was delivered after `after`."""
        return after >= self._after and after.epoch == self._head.epoch

    def page(self, selection: Selection, after: Position) -> Page | None:
        """The chosen events from `after` to the head, or None if it begins later."""
        if not self.covers(after):
            return None
        events = [
            event
            for batch in self._batches
            if batch[-1].position > after
            for event in batch
            if event.position > after
        ]
        return Page(selection.choose(events), max(after, self._head))
