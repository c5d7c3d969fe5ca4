"""What all who publish and all who subscribe were told, and whether it fits together.

Law of the hubs: one order for everyone, each event once, and no id that ever means two payloads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from random import Random
from typing import Any

import trio
from attrs import define, field

from adohub.client import Client, connect
from adohub.client.session import State
from adohub.errors import PeerError
from tests.cli.processes import history, progress
from tests.cluster.hubs import Member
from tests.running import Refused, open_peer, request

TOPIC = "task.progress"
EVERYTHING: Mapping[str, Any] = {"topics": [TOPIC], "replay": "all"}

RECONNECT_S = 0.05
PACE_S = 0.01
"""How long an author rests between two publishes, so that there is a processor left for hubs to start."""

MOST_AT_ONCE = 6


def subscription(path: str, input: Mapping[str, Any], last_event_id: str | None = None) -> dict[str, Any]:
    """A subscription as @trpc/client asks for it."""
    message = request(1, "subscription", path, dict(input))
    if last_event_id is not None:
        message["params"]["lastEventId"] = last_event_id
    return message


def at_once() -> Iterator[float]:
    """Waits between attempts to connect, in seconds: short, so that many fit into a test."""
    return repeat(RECONNECT_S)


def epochs(ids: Sequence[str]) -> list[str]:
    """The epochs that these are of, in the order in which they come."""
    return list(dict.fromkeys(one.partition("-")[0] for one in ids))


def acknowledged(authors: Sequence[Author]) -> dict[str, str]:
    """All that they have been told, whoever of them."""
    return {message: event_id for author in authors for message, event_id in author.acknowledged.items()}


@define(eq=False)
class Witness:
    """Knows by its id what every event was, whoever has shown it."""

    _payloads: dict[str, Any] = field(factory=dict)

    def saw(self, event: Mapping[str, Any]) -> str:
        """Somebody was shown `event`. Gives its id."""
        known = self._payloads.setdefault(event["id"], event["payload"])
        assert known == event["payload"], f"{event['id']} means two payloads"
        return str(event["id"])

    async def history(self, hubs: Sequence[Member]) -> list[str]:
        """The ids of what all hubs have to tell, which is the same."""
        histories = [list(map(self.saw, await history(hub.url, TOPIC))) for hub in hubs]
        assert all(ids == histories[0] for ids in histories), "two hubs tell of two histories"
        return histories[0]

    def message(self, event_id: str) -> str:
        """What its author wrote into it."""
        return str(self._payloads[event_id]["message"])

    def check_once(self, ids: Sequence[str], acknowledged: Mapping[str, str]) -> None:
        """These ids, in this order, have all that was acknowledged, and everything in them is there once.

        Each author's come in the order of its writing.
        """
        assert ids == sorted(set(ids))
        place = {self.message(event_id): event_id for event_id in ids}
        assert len(place) == len(ids), f"twice: {Counter(map(self.message, ids)).most_common(3)}"
        assert acknowledged.items() <= place.items(), "acknowledged and not there"
        for author in {message.split()[0] for message in place}:
            own = [int(message.split()[1]) for message in place if message.split()[0] == author]
            assert own == sorted(own), f"{author} did not write in this order"


@define(eq=False)
class Watcher:
    """Subscribes to everything, and goes on wherever it reconnects. `ids` is what it was shown, in order.

    `connections` counts those it has had.
    """

    witness: Witness
    ids: list[str] = field(factory=list)
    connections: int = 0
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def watch(self, url: str, *, task_status: trio.TaskStatus[None]) -> None:
        """Watch for ever."""
        async with connect(url, on_state=self._note, backoff=at_once) as client:
            task_status.started()
            while True:
                await self._subscribe(client)

    async def _subscribe(self, client: Client) -> None:
        last = self.ids[-1] if self.ids else None
        try:
            async with client.subscribe("stream.onEvent", EVERYTHING, last_event_id=last) as deliveries:
                async for delivery in deliveries:
                    self.ids.append(self.witness.saw(delivery.data))
                    self._news.unpark_all()
        except PeerError as error:
            assert error.code == "SERVICE_UNAVAILABLE"  # noqa: PT017 - any other is a fault
            await trio.sleep(RECONNECT_S)

    async def until(self, enough: Callable[[Sequence[str]], object]) -> None:
        """Return once `enough(ids)`."""
        while not enough(self.ids):
            await self._news.park()

    async def until_caught_up(self, ids: Sequence[str]) -> None:
        """Return once it was shown the last of `ids`, or as many."""
        await self.until(lambda seen: len(seen) >= len(ids) or seen[-1:] == ids[-1:])

    def _note(self, state: State) -> None:
        self.connections += state == "open"


GAP = "gap"
"""What a listener hears between events where the hub says that some may be missing."""


@define(eq=False)
class Listener:
    """Subscribes once, on one connection, and takes down all that is said: ids of events, and GAP."""

    witness: Witness
    heard: list[str] = field(factory=list)
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def listen(
        self, url: str, last_event_id: str | None = None, *, task_status: trio.TaskStatus[None]
    ) -> None:
        """Listen for ever."""
        async with open_peer(url) as peer:
            await peer.tell(subscription("stream.onEvent", EVERYTHING, last_event_id))
            task_status.started()
            while True:
                match await peer.hear():
                    case {"result": {"type": "data", "data": event}}:
                        self.heard.append(self.witness.saw(event))
                    case {"result": {"type": "started", "recovered": False}}:
                        self.heard.append(GAP)
                    case {"error": shape}:
                        raise Refused(shape)
                self._news.unpark_all()

    async def until(self, enough: Callable[[Sequence[str]], object]) -> None:
        """Return once `enough(heard)`."""
        while not enough(self.heard):
            await self._news.park()

    @property
    def parts(self) -> tuple[list[str], list[str]]:
        """What it heard before the gap, and after it. There must have been one."""
        assert self.heard.count(GAP) == 1
        at = self.heard.index(GAP)
        return self.heard[:at], self.heard[at + 1 :]


@define(eq=False)
class Author:
    """Publishes `NAME 0`, `NAME 1` … in this order, a few at a time, each again until it is acknowledged.

    One that is `fickle` goes on with others where something was refused.

    `acknowledged` maps them to the ids of their events. `refusals` has the codes of what failed, and the time
    each took, in seconds.
    """

    name: str
    chance: Random
    fickle: bool = False
    acknowledged: dict[str, str] = field(factory=dict)
    refusals: list[tuple[str, float]] = field(factory=list)
    _written: int = field(default=0, init=False)
    _enough: bool = field(default=False, init=False)
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def write(self, url: str) -> None:
        """Publish until it is told to `finish`."""
        async with connect(url, backoff=at_once) as client:
            while not self._enough:
                first, self._written = self._written, self._written + self.chance.randint(1, MOST_AT_ONCE)
                serials = range(first, self._written)
                while not await self._publish(client, [f"{self.name} {serial}" for serial in serials]):
                    if self.fickle:
                        break
                await trio.sleep(PACE_S)

    async def _publish(self, client: Client, messages: Sequence[str]) -> bool:
        events = [
            {"topic": TOPIC, "payload": progress(self.name, 1, message), "idempotencyKey": message}
            for message in messages
        ]
        began = trio.current_time()
        try:
            ids = await client.publish_many(events)
        except PeerError as error:
            self.refusals.append((error.code, trio.current_time() - began))
            return False
        else:
            self.acknowledged.update(zip(messages, ids, strict=True))
            return True
        finally:
            self._news.unpark_all()

    def finish(self) -> None:
        """Let it end, once what it has begun is acknowledged."""
        self._enough = True

    async def until_acknowledged(self, more: int) -> None:
        """Return once `more` than now are acknowledged."""
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            await self._news.park()

    async def until_refused(self) -> None:
        """Return once something was refused."""
        while not self.refusals:
            await self._news.park()
