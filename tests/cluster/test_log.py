"""Whatever was appended, and whoever opens it, redis answers as the memory engine does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

import trio
from adohub_redis.storage import RedisStorage, open_redis
from adohub_redis.testing import valkey
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings

from adohub import Draft, Event, Position, Receipt, Storage, StorageSettings
from adohub.builtin.memory import MemoryStorage
from adohub.testing.storage.words import read_all
from tests.builtin.playing import ALWAYS, Question, Step, Wanted, limits, questions, steps

EXAMPLES = 100
DEADLINE_S = 300.0

APART_S = 0.05
"""What passes of time besides, in seconds: no limit is met to the millisecond that asking takes."""


@define
class World:
    """A Redis with nothing in it, as two hubs use it, and the memory engine that has been told the same."""

    url: str
    prefix: str
    limits: StorageSettings
    moment: float = 0.0
    opened: int = 0
    memory: MemoryStorage = field(init=False)

    @memory.default
    def _(self) -> MemoryStorage:
        return MemoryStorage(self.limits, lambda: self.moment)

    def opening(self) -> AbstractAsyncContextManager[Storage]:
        self.opened += 1
        table = {"url": self.url, "prefix": self.prefix, "publish_timeout_ms": 5000, "wait_replicas": 0}
        own = evolve(self.limits, table=table, instance=f"hub{self.opened}")
        return open_redis(own, lambda: self.moment)


def said(receipts: Sequence[Receipt]) -> list[tuple[int, str, str]]:
    return [(one.position.offset, one.timestamp, one.rejected) for one in receipts]


def shown(events: Sequence[Event]) -> list[tuple[object, ...]]:
    return [(event.position.offset, *event[1:]) for event in events]


FEW_KEYS = [None, "k", "k\0"]
ENOUGH_EVENTS = 15
"""So many places there are, with FEW_KEYS: of too many the two let go at other times."""


def drafted(one: Wanted, memory: MemoryStorage) -> Draft:
    """What is appended of it."""
    few = evolve(one, key=one.key if one.key in FEW_KEYS else "k")
    return few.draft(lambda topic, key: memory._history.revision((topic, key)))


async def take(step: Step, world: World, storage: RedisStorage, other: RedisStorage) -> None:
    memory = world.memory
    if step == "tidy":
        await storage._server.tidy(await storage._asking.link())
    elif isinstance(step, float):
        world.moment += step + APART_S
    elif not isinstance(step, str):
        drafts = [drafted(one, memory) for one in step]
        assert said(await storage.append(drafts)) == said(await memory.append(drafts))
    await other._replica.reached(storage.head())
    for hub in (storage, other):
        assert (hub.head().offset, hub.tail().offset) == (memory.head().offset, memory.tail().offset)


async def check(question: Question, world: World, storage: RedisStorage) -> None:
    selection, memory = question.selection, world.memory
    after = Position(storage.head().epoch, question.after), Position(memory.head().epoch, question.after)
    found = await read_all(storage, selection, after[0], limit=question.limit)
    assert shown(found) == shown(await read_all(memory, selection, after[1], limit=question.limit))
    newest, expected = await storage.latest(selection), await memory.latest(selection)
    assert shown(newest.events) == shown(expected.events)
    assert newest.position == storage.head()
    ended = {position.offset for position in newest.ended}
    places = {event.position.offset for event in newest.events}
    assert ended & places == {position.offset for position in expected.ended} & places


async def play(world: World, script: Sequence[Step], asked: Sequence[Question]) -> None:
    rest = list(script)
    while True:
        async with world.opening() as storage, world.opening() as other:
            assert isinstance(storage, RedisStorage)
            assert isinstance(other, RedisStorage)
            hubs = [storage, other]
            while rest and (step := rest.pop(0)) != "reopen":
                await take(step, world, *hubs)
                hubs.reverse()
            if not rest:
                for question in (*ALWAYS, *asked):
                    for hub in hubs:
                        await check(question, world, hub)
                return


async def test_redis_answers_as_the_memory_engine_does(tmp_path: Path) -> None:
    numbers = count()
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server:

            @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
            @given(limits, steps, questions)
            def try_it(limits: StorageSettings, script: Sequence[Step], asked: Sequence[Question]) -> None:
                limits = evolve(limits, max_events=limits.max_events + ENOUGH_EVENTS)
                world = World(server.url, f"p{next(numbers)}", limits)
                trio.run(play, world, script, asked)

            await trio.to_thread.run_sync(try_it)
