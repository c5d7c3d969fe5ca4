"""Publishers that go on whatever they are told and a subscriber that stays: what became of every event.

    async with traffic(hub.url) as flow:
        await flow.until_acknowledged(10)
        ...
        await flow.end()
        assert flow.seen == flow.acknowledged

Nothing here has a deadline: the hub brings one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import trio
from attrs import define, field

from tests.running import Peer, Refused, open_peer, progress, until

PUBLISHERS = 3
"""So many publish at a time: more than one event is lost with a commit that fails."""

PAUSE_S = 0.01
"""How long each rests after an answer, in seconds."""

TOPIC, TASK = "task.progress", "flow"


@define(eq=False)
class Traffic:
    """`acknowledged` holds the ids that publishers were given, `seen` those that the subscriber was."""

    _subscriber: Peer
    refusals: list[Refused] = field(factory=list, init=False)
    seen: list[str] = field(factory=list, init=False)
    _acknowledged: list[str] = field(factory=list, init=False)
    _pongs: int = field(default=0, init=False)
    _publishing: int = field(default=0, init=False)
    _ending: bool = field(default=False, init=False)

    @property
    def acknowledged(self) -> list[str]:
        """In the order of storage, as far as the subscriber has seen them; then the others."""
        order = {id_: number for number, id_ in enumerate(self.seen)}
        return sorted(self._acknowledged, key=lambda id_: order.get(id_, len(order)))

    async def until_acknowledged(self, more: int) -> None:
        """Return once `more` events than now have been acknowledged."""
        wanted = len(self._acknowledged) + more
        await until(lambda: len(self._acknowledged) >= wanted)

    async def until_refused(self, more: int) -> None:
        """Return once `more` events than now have been refused."""
        wanted = len(self.refusals) + more
        await until(lambda: len(self.refusals) >= wanted)

    async def ping(self) -> None:
        """Return once the hub has answered the subscriber's PING."""
        wanted = self._pongs + 1
        await self._subscriber.tell("PING")
        await until(lambda: self._pongs >= wanted)

    async def end(self) -> None:
        """Stop publishing; return when all that was delivered before has been seen."""
        self._ending = True
        await until(lambda: not self._publishing)
        await until(lambda: len(self.seen) >= len(self._acknowledged))
        await self.ping()

    async def publish(self, peer: Peer, name: str) -> None:
        """One publisher's task."""
        self._publishing += 1
        for number in count():
            if self._ending:
                break
            try:
                self._acknowledged.append(await peer.publish(TOPIC, progress(TASK, 1, f"{name}{number}")))
            except Refused as refused:
                self.refusals.append(refused)
            await trio.sleep(PAUSE_S)
        self._publishing -= 1

    async def listen(self) -> None:
        """The subscriber's task. Fails when the connection ends."""
        while True:
            message = await self._subscriber.hear()
            if message == "PONG":
                self._pongs += 1
            elif message == "PING":
                await self._subscriber.tell("PONG")
            else:
                self.seen.append(message["result"]["id"])


@asynccontextmanager
async def traffic(url: str) -> AsyncIterator[Traffic]:
    """Traffic on the hub at `url` during the block."""
    async with AsyncExitStack() as peers:
        subscriber, *publishers = [
            await peers.enter_async_context(open_peer(url)) for _ in range(1 + PUBLISHERS)
        ]
        flow = Traffic(subscriber)
        await subscriber.subscribe(1, "stream.onEvent", {"topics": [TOPIC], "key": TASK})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flow.listen)
            for name, publisher in zip("abc", publishers, strict=True):
                nursery.start_soon(flow.publish, publisher, name)
            yield flow
            nursery.cancel_scope.cancel()
