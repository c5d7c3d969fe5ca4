"""How long to wait before each attempt to reconnect: soon at first, ever later, never in step with others."""

from __future__ import annotations

import random
from collections.abc import Iterator

BASE_S = 0.25
"""The longest wait before the first attempt, in seconds."""

CEILING_S = 10.0
"""The longest wait before any attempt, in seconds."""


def jittered() -> Iterator[float]:
    """Endless waits in seconds, each evenly random between nothing and a bound that doubles up to CEILING_S.

    Randomness over the whole span spreads the clients of a restarted hub best.
    """
    bound = BASE_S
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, CEILING_S)
