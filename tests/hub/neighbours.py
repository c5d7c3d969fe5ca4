"""Several hubs over one storage, as far as presence goes: each can be cut off, or killed between two appends.

async with a_crew() as crew:
anna = await crew.hub("a").attend("anna")
anna.leave()
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import orjson
import trio
from attrs import define, field

from adohub.builtin.memory import MemoryStorage
from adohub.errors import PeerError, StorageError
from adohub.hub.attendance import Attendance
from adohub.hub.intake import Intake
from adohub.hub.journal import Journal
from adohub.hub.presence import Registrar
from adohub.hub.pump import pump
from adohub.hub.replays import Replays
from adohub.hub.routes import Routes
from adohub.model import Draft, Event, Position
from adohub.plugin.contracts import Source, Topic
from adohub.plugin.presence import Presence, Present
from adohub.plugin.storage import Located, Neighbour, Newest, Page, Receipt, StorageSettings
from adohub.topics import Selection
from tests.hub.making import Hub as Parts
from tests.hub.making import Peer, draft, interest

GRACE_S = 5.0

TOPICS = {
    topic.name: topic
    for topic in (
        Topic("crew", Present, key="key", state_keys=3),
        Topic("crew.added"),
        Topic("crew.removed"),
        Topic("order", key="to"),
    )
}


def announce(record: Present, what: Literal["added", "removed"]) -> tuple[str, Any]:
    if record.about == "unspeakable":
        raise RuntimeError("a plugin's own fault")
    return f"crew.{what}", {"who": record.key}


PRESENCE = Presence(
    "crew", key=str, about=str, announce=announce, attend=("workers", "attend"), list=("workers", "list")
)


class Link:
    """A hub's way to the storage that it shares. While `is_cut` it hears nothing and can do nothing.

    `lag_s`: how long what was appended is on its way here. `appends_left`: after so many appends `on_last` is
    called, and the last one was not made if `is_lost`.
    """

    def __init__(self, shared: MemoryStorage, neighbours: Mapping[str, Neighbour]) -> None:
        self._shared = shared
        self._neighbours = neighbours
        self._head = shared.head()
        self._healed = trio.Event()
        self.lag_s = 0.0
        self.is_cut = False
        self.is_lost = False
        self.appends_left: int | None = None
        self.on_last: Callable[[], None] = lambda: None

    def cut(self) -> None:
        self._head = self._shared.head()
        self.is_cut = True

    def heal(self) -> None:
        self.is_cut = False
        self._healed.set()
        self._healed = trio.Event()

    def replace(self, shared: MemoryStorage) -> None:
        """What was kept is gone: a new epoch."""
        self._shared = shared

    def _check(self) -> None:
        if self.is_cut:
            raise StorageError("cut off")

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        self._check()
        if self.appends_left is not None:
            self.appends_left -= 1
            if self.appends_left <= 0:
                self.cut()
                self.on_last()
                if self.is_lost:
                    raise StorageError("killed")
                with trio.CancelScope(shield=True):
                    return await self._shared.append(drafts)
        return await self._shared.append(drafts)

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        async with aclosing(self._shared.follow(after)) as batches:
            async for batch in batches:
                await trio.sleep(self.lag_s)
                while self.is_cut:
                    await self._healed.wait()
                yield batch

    async def read(self, selection: Selection, after: Position, limit: int) -> Page:
        self._check()
        return await self._shared.read(selection, after, limit)

    async def latest(self, selection: Selection) -> Newest:
        self._check()
        return await self._shared.latest(selection)

    async def check(self) -> None:
        self._check()

    def head(self) -> Position:
        return self._head if self.is_cut else self._shared.head()

    def tail(self) -> Position:
        return self._shared.tail()

    def locate(self, seen: Position) -> Located:
        return self._shared.locate(seen)

    async def confirm(self, seen: Position) -> Located:
        return await self._shared.confirm(seen)

    def trouble(self) -> str | None:
        return None

    def hubs(self) -> Mapping[str, Neighbour]:
        return self._neighbours

    def sources(self) -> Sequence[Source]:
        return ()


class Caller(Peer):
    """A connection that keeps what its subscription was refused with."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery)
        self.refusals: list[str] = []

    def start(self, replay: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._replay, replay)

    async def _replay(self, replay: Callable[[], Awaitable[None]]) -> None:
        try:
            await replay()
        except PeerError as error:
            self.refusals.append(error.code)


@define(eq=False)
class Visit:
    """One subscription of somebody, and the connection it is on."""

    attendance: Attendance
    caller: Caller

    def leave(self) -> None:
        self.attendance.leave()

    @property
    def orders(self) -> list[int]:
        """What it was told to do."""
        results = [one["result"] for one in self.caller.heard]
        return [result["data"]["n"] for result in results if result["type"] == "data"]


class Hub(Parts):
    """One of the hubs, `name` being its instance."""

    def __init__(self, name: str, link: Link, nursery: trio.Nursery, grace_s: float) -> None:
        self.name = name
        self.link = link
        self.nursery = nursery
        self.journal = Journal(link)
        self.replays = Replays(self.journal)
        self.routes = Routes()
        intake = Intake(TOPICS, allow_undeclared=False)
        self.registrar = Registrar(PRESENCE, self.journal, intake, link.hubs, instance=name, grace_s=grace_s)

    async def attend(self, who: str, about: str = "") -> Visit:
        caller = Caller(self.nursery)
        attendance = self.registrar.attendance(caller, who, about)
        visit = Visit(attendance, caller)
        try:
            await attendance.arrive()
        except BaseException:
            attendance.leave()
            raise
        if not attendance.is_over:
            cursor = self.cursor(caller, interest("order", key=who))
            attendance.serve(cursor)
            cursor.resume(attendance.begin(None))
        return visit

    def kill(self) -> None:
        """It does nothing any more; its neighbours are yet to notice."""
        self.nursery.cancel_scope.cancel()

    @property
    def present(self) -> list[str]:
        return sorted(record.key for record in self.registrar.present())


@define(eq=False)
class Crew:
    """All the hubs and what they share."""

    storage: MemoryStorage
    nursery: trio.Nursery
    grace_s: float
    neighbours: dict[str, Neighbour] = field(factory=dict)
    hubs: dict[str, Hub] = field(factory=dict)

    async def start(self, name: str) -> Hub:
        """One more hub, once it knows who is present."""
        self.neighbours[name] = Neighbour(alive=True, delivered=self.storage.head())

        async def run(*, task_status: trio.TaskStatus[Hub]) -> None:
            async with trio.open_nursery() as nursery:
                hub = Hub(name, Link(self.storage, self.neighbours), nursery, self.grace_s)
                nursery.start_soon(hub.journal.keep)
                nursery.start_soon(hub.journal.recover)
                nursery.start_soon(pump, hub.journal, hub.routes)
                await nursery.start(hub.registrar.run, hub.routes)
                task_status.started(hub)

        hub: Hub = await self.nursery.start(run)
        self.hubs[name] = hub
        return hub

    def miss(self, name: str) -> None:
        """That hub has given no sign of life for long enough."""
        delivered = self.hubs[name].journal.head
        self.neighbours[name] = Neighbour(alive=False, delivered=delivered)

    def hear(self, name: str) -> None:
        """That hub gives signs of life again."""
        self.neighbours[name] = Neighbour(alive=True, delivered=self.hubs[name].journal.head)

    async def order(self, who: str, n: int) -> None:
        await self.storage.append([draft("order", who, n=n)])

    async def told(self) -> list[str]:
        """What was announced, in order: `+anna`, `-anna`."""
        page = await self.storage.read(Selection(["crew.added", "crew.removed"]), self.storage.tail(), 1000)
        signs = {"crew.added": "+", "crew.removed": "-"}
        return [signs[event.topic] + orjson.loads(event.body)["who"] for event in page.events]

    async def kept(self) -> list[Event]:
        """The records there are."""
        newest = await self.storage.latest(Selection(["crew"]))
        return [event for event in newest.events if event.position not in newest.ended]


def fresh_storage() -> MemoryStorage:
    return MemoryStorage(StorageSettings(10_000, 3600, 300, state_keys={"crew": 3}), trio.current_time)


@asynccontextmanager
async def a_crew(*names: str, grace_s: float = GRACE_S) -> AsyncIterator[Crew]:
    """Hubs of these names, all of which ends with the block."""
    with trio.fail_after(600):
        async with trio.open_nursery() as nursery:
            crew = Crew(fresh_storage(), nursery, grace_s)
            for name in names:
                await crew.start(name)
            yield crew
            nursery.cancel_scope.cancel()
