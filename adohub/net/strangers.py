"""Connections of which nobody knows yet who they are.

Law: when the hub is full they make room, the oldest first: nobody has to wait outside because others came
and say nothing. Who has shown a bad credential is none of them: it is held, so that it does
not come back at once, and would if it were sent away.
"""

from __future__ import annotations

from collections.abc import Callable


class RoomNeeded(Exception):
    """This connection has to make room for others."""


End = Callable[[], object]
"""Ends a connection."""


class Strangers:
    """Those who are waited for, each by what ends it, in the order in which they came to where they are."""

    def __init__(self) -> None:
        self._ends: dict[End, None] = {}

    def add(self, end: End) -> None:
        """One more is waited for."""
        self._ends[end] = None

    def remove(self, end: End) -> bool:
        """It is known, or gone; False if it was to make room."""
        if end not in self._ends:
            return False
        del self._ends[end]
        return True

    def make_room(self) -> bool:
        """End the one that has been waited for the longest; False if there is none."""
        if not self._ends:
            return False
        end = next(iter(self._ends))
        del self._ends[end]
        end()
        return True
