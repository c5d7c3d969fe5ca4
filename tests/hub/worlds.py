"""A hub at work over storage whose epoch can end, and what tests subscribe to there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from attrs import define, evolve, field

from adohub.errors import PeerError, StorageError
from adohub.hub.cohort import Interest
from adohub.hub.pump import pump
from adohub.model import OnGap, OnSlow, Replay
from adohub.wire.encode import View
from tests.hub.breaking import BreakingStorage
from tests.hub.making import SETTINGS, Hub, Peer, interest

WILD = interest("**")
KEYED = interest("t", key="k", completes_on="end")
ENDING = interest("end", key="k", completes_on="end")
STATE = evolve(interest("state", view=View(revised=True)), synced=b'{"op":"synced"}')
STATE_SETTINGS = evolve(SETTINGS, state_keys={"state": 100})


@define(eq=False)
class World:
    """A hub at work, and a storage whose epoch can end."""

    storage: BreakingStorage
    hub: Hub
    nursery: trio.Nursery
    failures: list[Exception] = field(factory=list)

    def peer(self) -> Peer:
        peer = Peer(self.nursery)
        peer.start = lambda replay: self.nursery.start_soon(self._replay, replay)  # type: ignore[method-assign]
        return peer

    async def _replay(self, replay: Callable[[], Any]) -> None:
        try:
            await replay()
        except (PeerError, StorageError) as error:
            self.failures.append(error)

    async def subscribe(
        self,
        wanted: Interest = WILD,
        replay: Replay = "none",
        on_slow: OnSlow = "catch-up",
        on_gap: OnGap = "continue",
    ) -> Peer:
        peer = self.peer()
        self.hub.cursor(peer, wanted, on_slow, on_gap).begin(replay)
        await trio.testing.wait_all_tasks_blocked()
        return peer

    async def publish(self, *drafts: Any) -> list[str]:
        ids = await self.hub.publish(*drafts)
        await trio.testing.wait_all_tasks_blocked()
        return ids

    async def flush(self) -> None:
        self.storage.flush()
        await trio.testing.wait_all_tasks_blocked()

    async def fail_over(self, lost: int = 0) -> None:
        self.storage.fail_over(lost)
        await trio.testing.wait_all_tasks_blocked()

    @property
    def gaps(self) -> int:
        return self.hub.journal.metrics.gaps


@asynccontextmanager
async def at_work(storage: BreakingStorage) -> AsyncIterator[World]:
    hub = Hub(storage)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, hub.journal, hub.routes)
            await trio.testing.wait_all_tasks_blocked()
            yield World(storage, hub, nursery)
            nursery.cancel_scope.cancel()


def shown(peer: Peer) -> list[str]:
    """The payloads it was given, in order: a number, or "synced"."""
    data = [one["result"]["data"] for one in peer.heard if one["result"]["type"] == "data"]
    return [str(one.get("n", one.get("op"))) for one in data]
