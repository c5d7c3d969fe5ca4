"""Waiting for what nobody announces: servers are asked again and again until they agree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

SETTLE_S = 60.0
"""How long servers may take to find each other, or another primary, in seconds."""

POLL_S = 0.02
"""How long nobody is asked, in seconds."""

T = TypeVar("T")


async def until(found: Callable[[], Awaitable[T | None]]) -> T:
    """The first answer of `found` that is neither None nor false. Raises TooSlowError after SETTLE_S."""
    with trio.fail_after(SETTLE_S):
        while not (answer := await found()):  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(POLL_S)
    return answer
