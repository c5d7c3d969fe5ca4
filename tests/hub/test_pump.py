"""The pump moves the head and delivers in one step, batch by batch as storage yields them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import ExitStack

import pytest
import trio
import trio.testing

from adohub.builtin.memory import MemoryStorage
from adohub.errors import StorageError
from adohub.hub import pump as pumps
from adohub.hub.cohort import Cohort
from adohub.hub.journal import Journal
from adohub.hub.pump import FOLLOW_AGAIN_S, pump
from adohub.hub.routes import Routes
from adohub.model import Event, Position
from tests.hub.making import SETTINGS, Hub, Recorder, draft, interest, messages


class Yielding(MemoryStorage):
    """Yields just these batches, and breaks off where there is an error instead."""

    def __init__(self, batches: Sequence[Sequence[Event] | StorageError]) -> None:
        super().__init__(SETTINGS)
        self.batches = list(batches)

    async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
        while self.batches:
            batch = self.batches.pop(0)
            if isinstance(batch, StorageError):
                raise batch
            yield batch
            await trio.lowlevel.checkpoint()
        await trio.sleep_forever()


async def test_between_the_heads_move_and_deciding_who_gets_what_there_is_no_checkpoint() -> None:
    steps: list[tuple[int, int, int]] = []
    step = ExitStack()

    class Watched(Journal):
        def advance(self, batch: Sequence[Event]) -> None:
            step.enter_context(trio.testing.assert_no_checkpoints())
            super().advance(batch)

    class Watching(Routes):
        def _stage(self, batch: Sequence[Event]) -> Iterable[Cohort]:
            staged = super()._stage(batch)
            step.close()
            steps.append((journal.head.offset, batch[0].position.offset, len(batch)))
            return staged

    source = MemoryStorage(SETTINGS)
    await source.append([draft("t")] * 6)
    events = (await source.read(interest("**").selection, source.tail(), 10)).events
    journal = Watched(Yielding([events[:1], [], events[1:4], events[4:]]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, journal, Watching())
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert steps == [(1, 1, 1), (4, 2, 3), (6, 5, 2)]


async def test_what_is_appended_is_delivered_in_order() -> None:
    hub = Hub()
    recorder = Recorder()
    hub.routes.join(interest("**"), recorder, recorder.push)
    ids: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, hub.journal, hub.routes)
        for count in (1, 3, 2):
            ids += await hub.publish(*[draft("t")] * count)
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [one["result"]["id"] for one in recorder.heard] == ids


async def test_what_arrives_while_the_turn_settles_is_delivered_with_it() -> None:
    hub = Hub()
    recorder = Recorder()
    hub.routes.join(interest("**"), recorder, recorder.push)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, hub.journal, hub.routes)
        await trio.testing.wait_all_tasks_blocked()
        ids = await hub.publish(draft("t"))
        ids += await hub.publish(draft("t"), draft("t"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [one["result"]["id"] for one in recorder.heard] == ids
    assert len(recorder.pushed) == 1


async def test_large_batches_are_delivered_in_parts_by_number_and_by_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pumps, "PART_EVENTS", 3)
    monkeypatch.setattr(pumps, "PART_BYTES", 1000)
    hub = Hub()
    recorder = Recorder()
    hub.routes.join(interest("**"), recorder, recorder.push)
    small, large = draft("t"), draft("t", text="x" * 900)
    noted = small._replace(notes=b"x" * 900)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, hub.journal, hub.routes)
        ids = await hub.publish(small, small, small, small, large, noted, small)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [one["result"]["id"] for one in recorder.heard] == ids
    assert [len(messages(frames)) for frames in recorder.pushed] == [3, 2, 2]


@pytest.fixture
def virtual_time() -> trio.testing.MockClock:
    """A clock that moves on when everybody waits."""
    return trio.testing.MockClock(autojump_threshold=0)


class TestOnVirtualTime:
    """Storage that breaks off is followed again, where delivery stands."""

    @pytest.fixture
    def anyio_backend(self, virtual_time: trio.testing.MockClock) -> object:
        return "trio", {"clock": virtual_time}

    async def test_an_engine_that_stops_although_it_has_more_is_followed_again(self) -> None:
        """Its head is ahead of what it has yielded when its `follow` ends."""

        class Brief(MemoryStorage):
            async def follow(self, after: Position) -> AsyncGenerator[Sequence[Event], None]:
                page = await self.read(interest("**").selection, after, 1)
                if page.events:
                    yield page.events

        hub = Hub(Brief(SETTINGS))
        recorder = Recorder()
        hub.routes.join(interest("**"), recorder, recorder.push)
        ids = await hub.publish(draft("t"), draft("t"), draft("t"))
        with trio.fail_after(10 * FOLLOW_AGAIN_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pump, hub.journal, hub.routes)
                await hub.journal.delivered(hub.storage.head())
                nursery.cancel_scope.cancel()
        assert [one["result"]["id"] for one in recorder.heard] == ids

    async def test_storage_that_breaks_off_is_followed_again(self) -> None:
        source = MemoryStorage(SETTINGS)
        await source.append([draft("t")] * 3)
        events = (await source.read(interest("**").selection, source.tail(), 10)).events
        storage = Yielding([events[:1], StorageError("away"), events[1:]])
        storage._history.epoch = source._epoch
        journal = Journal(storage)
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, journal, Routes())
            await journal.delivered(events[-1].position)
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started == FOLLOW_AGAIN_S
