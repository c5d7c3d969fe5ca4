"""A nursery that keeps what one task raised as it was raised, for blocks that callers write in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def flat_nursery() -> AsyncIterator[trio.Nursery]:
    """`trio.open_nursery`, except that a lone exception leaves it bare, not inside a group of one.

    The tasks inside are ours and the caller need not know of them, so `except PeerError` around the block
    must work as if there were no nursery.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        lone = group.exceptions[0]
        raise lone from lone.__cause__
