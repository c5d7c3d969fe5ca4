"""Tells the log what was not taken in, and why: of each reason a line a minute, however much there is."""

from __future__ import annotations

import math

import structlog
import trio

QUIET_S = 60.0
"""For how long a reason is not told of again, in seconds."""

SHOWN_CHARS = 80
"""How much of a topic's name is told."""

_log = structlog.get_logger("adohub.redis")


class Refusals:
    """What was refused of what `channel` has brought."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._untold: dict[str, int] = {}
        self._told_at: dict[str, float] = {}

    def note(self, reason: str, topic: str = "", *, number: int = 1) -> None:
        """`number` messages were not taken in, the last of them of `topic`."""
        count = self._untold[reason] = self._untold.get(reason, 0) + number
        now = trio.current_time()
        if now >= self._told_at.get(reason, -math.inf) + QUIET_S:
            _log.warning(
                "messages of the channel were not taken in",
                channel=self._channel,
                reason=reason,
                topic=topic[:SHOWN_CHARS],
                count=count,
            )
            self._told_at[reason] = now
            self._untold[reason] = 0
