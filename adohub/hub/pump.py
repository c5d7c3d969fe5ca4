"""The one task that delivers, in storage order.

Law: the head moves only in the synchronous step that also delivers. So there is no checkpoint between
`advance` and the end of `deliver`; nobody can meet a frame that they have also read from storage.
"""

from __future__ import annotations

from contextlib import aclosing

import structlog
import trio

from adohub.errors import StorageError
from adohub.hub.journal import Journal
from adohub.hub.routes import Routes

FOLLOW_AGAIN_S = 1.0
"""How long delivery rests when storage cannot be followed, in seconds."""

_log = structlog.get_logger("adohub.pump")


async def pump(journal: Journal, routes: Routes) -> None:
    """Deliver every event that storage yields, for ever: where storage breaks off, it goes on at the head."""
    while True:
        complaint = "the engine stopped following"
        try:
            await _deliver(journal, routes)
        except StorageError as error:
            complaint = str(error)
        _log.warning("storage cannot be followed just now", error=complaint)
        await trio.sleep(FOLLOW_AGAIN_S)


async def _deliver(journal: Journal, routes: Routes) -> None:
    async with aclosing(journal.follow()) as batches:
        async for batch in batches:
            if batch:
                before = journal.head
                journal.advance(batch)
                routes.deliver(batch, before)
