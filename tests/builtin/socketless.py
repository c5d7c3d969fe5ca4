"""A hub of the built-in plugins without sockets: requests in, the messages that answer them out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import trio
import trio.testing
from attrs import define, field

from adohub import Principal, StorageSettings
from adohub.builtin.memory import MemoryStorage
from adohub.config import Config
from adohub.errors import Goodbye, PeerError
from adohub.hub.intake import Intake
from adohub.hub.journal import Journal
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.hub.presence import Registrar
from adohub.hub.pump import pump
from adohub.hub.rates import Rates
from adohub.hub.replays import Replays
from adohub.hub.routes import Routes
from adohub.hub.service import HubService
from adohub.net.dispatch import Dispatch, Opened
from adohub.plugin.loader import load
from adohub.wire.dialect import JSON_FRAMES
from adohub.wire.messages import ABSENT, Data, Failure, ProcedureKind, Request, Tag
from tests.hub.making import messages

OWNER = Principal("owner", roles=[ALL_RIGHTS])


@define(eq=False)
class Running:
    """The hub, and one peer of it."""

    dispatch: Dispatch
    service: HubService
    nursery: trio.Nursery
    requests: int = 0

    async def call(
        self,
        path: str,
        input: object = ABSENT,
        kind: ProcedureKind = "mutation",
        by: Principal = OWNER,
    ) -> Any:
        """The answer's data; raises what the peer would be told as `Refused`."""
        self.requests += 1
        answered = trio.Event()
        answers: list[Data | Failure] = []

        def take(answer: Data | Failure) -> None:
            answers.append(answer)
            answered.set()

        request = Request(Tag(self.requests), kind, path, input)
        unfinished = self.dispatch.call(request, self.dispatch.caller(by), JSON_FRAMES, take)
        if unfinished is not None:
            await unfinished
        await answered.wait()
        [answer] = answers
        if isinstance(answer, Failure):
            raise Refused(answer.code, answer.message)
        assert answer.body is not None
        return orjson.loads(answer.body)

    async def query(self, path: str, input: object = ABSENT) -> Any:
        return await self.call(path, input, "query")

    async def publish(self, topic: str, payload: object, key: str | None = None) -> str:
        event = {"topic": topic, "payload": payload, "idempotencyKey": key}
        published = await self.call("events.publish", event)
        await trio.testing.wait_all_tasks_blocked()
        return str(published["id"])

    async def subscribe(
        self, path: str, input: object = ABSENT, last: str | None = None, by: Principal = OWNER
    ) -> Listener:
        """A subscription, after all that it gets at once. Raises PeerError."""
        self.requests += 1
        request = Request(Tag(self.requests), "subscription", path, input, last)
        admission, resumption = self.dispatch.admit(request, by, JSON_FRAMES)
        listener = Listener(self.nursery)
        attendance = self.dispatch.attendance(admission, listener)
        if attendance is not None:
            await attendance.arrive()
        listener.cursor = self.dispatch.open(admission, resumption, listener, attendance)
        await trio.testing.wait_all_tasks_blocked()
        return listener


class Refused(Exception):
    """What a peer is told of its request: code and message."""


@define(eq=False)
class Listener:
    """One subscription's end of a connection that always has room."""

    nursery: trio.Nursery
    frames: list[bytes] = field(factory=list)
    cursor: Opened | None = None
    fault: PeerError | None = None
    over: bool = False
    gaps: int = 0

    def push(self, frames: bytes) -> bool:
        self.frames.append(frames)
        return True

    async def room(self) -> None:
        """There is."""

    def start(self, replay: Callable[[], Awaitable[None]]) -> None:
        self.nursery.start_soon(self._replay, replay)

    async def _replay(self, replay: Callable[[], Awaitable[None]]) -> None:
        try:
            await replay()
        except PeerError as error:
            self.fault = error

    def leave(self) -> None:
        assert self.cursor is not None
        self.cursor.leave()

    def missed(self) -> None:
        self.gaps += 1

    def completed(self) -> None:
        self.over = True

    def drop(self, goodbye: Goodbye) -> None:
        raise AssertionError(f"dropped: {goodbye}")

    @property
    def ids(self) -> list[str]:
        """The id of each message that has data."""
        results = [one["result"] for one in messages(b"".join(self.frames))]
        return [one["id"] for one in results if one["type"] == "data"]

    @property
    def data(self) -> list[Any]:
        """The data of each message, `stopped` at the end of it if it has stopped."""
        results = [one["result"] for one in messages(b"".join(self.frames))]
        return [one["data"] if one["type"] == "data" else one["type"] for one in results]


@asynccontextmanager
async def running(config: Config | None = None) -> AsyncIterator[Running]:
    """The hub of `config`, everything of which ends with the block."""
    config = config or Config()
    registry = load(config)
    state_keys = {name: topic.state_keys for name, topic in registry.topics.items() if topic.state_keys}
    storage = MemoryStorage(StorageSettings(config.storage.max_events, 3600, 300, state_keys=state_keys))
    journal, routes = Journal(storage), Routes()
    readers = {topic: presence.list for topic, presence in registry.presences.items()}
    policy = Policy(config.auth.roles, registry.authorizers, registry.topics, readers)
    intake = Intake(
        registry.topics, allow_undeclared=config.topics.allow_undeclared, endings=registry.endings
    )
    instance, grace_s = "0123456789ab", config.presence.grace_ms / 1000
    registrars = {
        topic: Registrar(presence, journal, intake, storage.hubs, instance=instance, grace_s=grace_s)
        for topic, presence in registry.presences.items()
    }
    service = HubService(
        registry,
        journal,
        intake,
        policy,
        Rates(config.auth.roles),
        engine="memory",
        schema_hash="0" * 64,
        instance=instance,
        registrars=registrars,
    )
    dispatch = Dispatch(registry, service, journal, Replays(journal), routes, policy, registrars)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.keep)
        nursery.start_soon(pump, journal, routes)
        for registrar in registrars.values():
            await nursery.start(registrar.run, routes)
        with trio.fail_after(10):
            yield Running(dispatch, service, nursery)
        nursery.cancel_scope.cancel()
