"""Tasks of a connection end with it, whatever they are doing, and never take others along."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from adohub.net.tasks import Tasks


@asynccontextmanager
async def nursery_of_all() -> AsyncIterator[trio.Nursery]:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            yield nursery
            nursery.cancel_scope.cancel()


def unexpected(error: Exception) -> None:
    raise AssertionError(error)


async def note_the_end(notes: list[str], name: str, wait: Callable[[], object] = trio.sleep_forever) -> None:
    try:
        await wait()  # type: ignore[misc]
    finally:
        notes.append(name)


async def test_ending_cancels_what_runs_and_waits_for_it() -> None:
    async with nursery_of_all() as nursery:
        tasks, notes = Tasks(nursery, unexpected), list[str]()
        for name in ("a", "b"):
            tasks.start(partial(note_the_end, notes, name))
        await trio.testing.wait_all_tasks_blocked()
        await tasks.end()
        assert sorted(notes) == ["a", "b"]
        assert not nursery.child_tasks


async def test_ending_also_ends_what_has_not_begun() -> None:
    async with nursery_of_all() as nursery:
        tasks, notes = Tasks(nursery, unexpected), list[str]()
        tasks.start(partial(note_the_end, notes, "late"))
        await tasks.end()
        assert notes == ["late"]
        assert not nursery.child_tasks


async def test_with_nothing_running_there_is_nothing_to_wait_for() -> None:
    async with nursery_of_all() as nursery:
        tasks = Tasks(nursery, unexpected)
        with trio.testing.assert_no_checkpoints():
            await tasks.end()
        tasks.start(trio.lowlevel.checkpoint)
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_no_checkpoints():
            await tasks.end()


async def test_a_cancelled_connection_still_waits_for_its_tasks() -> None:
    async def last_words(notes: list[str]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            notes.append("said")

    async with nursery_of_all() as nursery:
        tasks, notes = Tasks(nursery, unexpected), list[str]()
        tasks.start(partial(last_words, notes))
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await tasks.end()
        assert notes == ["said"]


async def test_an_exception_is_told_and_leaves_other_connections_alone() -> None:
    async def crash() -> None:
        raise LookupError("lost")

    async with nursery_of_all() as nursery:
        told: list[Exception] = []
        crashing, other, notes = Tasks(nursery, told.append), Tasks(nursery, unexpected), list[str]()
        other.start(partial(note_the_end, notes, "other"))
        crashing.start(crash)
        await trio.testing.wait_all_tasks_blocked()
        assert [str(error) for error in told] == ["lost"]
        assert notes == []
        await crashing.end()
        await other.end()
        assert notes == ["other"]


@pytest.mark.parametrize("count", [1, 5])
async def test_it_can_be_used_again_after_all_have_ended_by_themselves(count: int) -> None:
    async with nursery_of_all() as nursery:
        tasks, notes = Tasks(nursery, unexpected), list[str]()
        for _ in range(2):
            for number in range(count):
                tasks.start(partial(note_the_end, notes, str(number), trio.lowlevel.checkpoint))
            await trio.testing.wait_all_tasks_blocked()
        assert len(notes) == 2 * count
