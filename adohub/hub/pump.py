"""The one task that delivers, in storage order.

Law: the head moves only in the synchronous step that also delivers. So there is no checkpoint between
`advance` and the end of `deliver`; nobody can meet a frame that they have also read from storage.
"""

from __future__ import annotations

from adohub.hub.journal import Journal
from adohub.hub.routes import Routes


async def pump(journal: Journal, routes: Routes) -> None:
    """Deliver every event that storage yields, for ever."""
    async for batch in journal.follow():
        if not batch:
            continue
        before = journal.head
        journal.advance(batch)
        routes.deliver(batch, before)
