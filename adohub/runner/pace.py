"""How often progress is told: at most every INTERVAL_S, the newest wins, no phase or end is left out."""

from __future__ import annotations

import math

from adohub.runner.progress import Progress

INTERVAL_S = 0.1
"""The least time between two progress events of one phase, in seconds."""


class Pace:
    """Decides which changes are told, and when. Pure: the time is given, in seconds, and never goes back."""

    def __init__(self) -> None:
        self._told: Progress | None = None
        self._held: Progress | None = None
        self._next_at = -math.inf

    def offer(self, progress: Progress, now: float) -> list[Progress]:
        """What is to be told at once, in order: nothing, or `progress` after what a past phase held."""
        if self._told is not None and progress.phase == self._told.phase and now < self._next_at:
            self._held = progress
            return []
        last_of_phase = self._held if self._held and self._held.phase != progress.phase else None
        return [*self._tell(last_of_phase, now), *self._tell(progress, now)]

    @property
    def due_at(self) -> float:
        """When what is held is to be released; infinite if nothing is held."""
        return math.inf if self._held is None else self._next_at

    def release(self, now: float) -> list[Progress]:
        """What is held, told now; at the end, whether it is due or not."""
        return self._tell(self._held, now)

    def _tell(self, progress: Progress | None, now: float) -> list[Progress]:
        if progress is None:
            return []
        self._told, self._held = progress, None
        self._next_at = now + INTERVAL_S
        return [progress]
