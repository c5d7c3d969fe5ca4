"""The spool in virtual time: order, bounds, refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from adohub.errors import PeerError
from adohub.runner.spool import BATCH_BYTES, BATCH_EVENTS, Spool
from tests.runner.recording import Recorder


@pytest.fixture
def anyio_backend() -> object:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@asynccontextmanager
async def sending(recorder: Recorder, complaints: list[str], **limits: int) -> AsyncIterator[Spool]:
    spool = Spool(recorder, complaints.append, **limits)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(spool.send)
            yield spool
            nursery.cancel_scope.cancel()


def contents(recorder: Recorder) -> list[Any]:
    return [event["content"] for event in recorder.events]


async def test_events_arrive_in_order_each_with_a_key_of_its_own() -> None:
    recorder = Recorder()
    async with sending(recorder, []) as spool:
        for number in range(1000):
            await spool.append("a.b", {"content": number})
        await spool.drain()
        assert spool.undelivered == 0
    assert contents(recorder) == list(range(1000))
    assert len(set(recorder.keys)) == 1000


async def test_what_gathers_while_the_hub_is_away_leaves_in_bounded_batches() -> None:
    recorder = Recorder()
    recorder.away()
    async with sending(recorder, []) as spool:
        for number in range(3 * BATCH_EVENTS):
            await spool.append("a.b", {"content": number})
        for _ in range(3):
            await spool.append("a.b", {"content": "x" * (BATCH_BYTES - 100)})
        recorder.back()
        await spool.drain()
    assert max(recorder.batches) == BATCH_EVENTS
    assert recorder.batches[-2:] == [1, 1]


@pytest.mark.parametrize("limits", [{"max_events": 3}, {"max_bytes": 3 * len('{"content":0}')}])
async def test_a_full_spool_makes_append_wait_in_turn(limits: dict[str, int]) -> None:
    recorder = Recorder()
    recorder.away()
    async with sending(recorder, [], **limits) as spool, trio.open_nursery() as nursery:
        for number in range(3):
            await spool.append("a.b", {"content": number})
        for number in range(3, 6):
            nursery.start_soon(spool.append, "a.b", {"content": number})
            await trio.testing.wait_all_tasks_blocked()
        assert spool.undelivered == 3
        recorder.back()
        await trio.testing.wait_all_tasks_blocked()
        assert contents(recorder) == [0, 1, 2, 3, 4, 5]


async def test_an_event_larger_than_the_spool_is_taken_alone() -> None:
    recorder = Recorder()
    async with sending(recorder, [], max_bytes=10) as spool:
        await spool.append("a.b", {"content": "x" * 100})
        await spool.append("a.b", {"content": "y" * 100})
        await spool.drain()
    assert len(recorder.events) == 2


async def test_a_refused_event_is_told_once_and_the_others_are_delivered() -> None:
    recorder, complaints = Recorder(refused={"bad"}), list[str]()
    recorder.away()
    async with sending(recorder, complaints) as spool:
        for content in ("a", "bad", "b", "bad", "c"):
            await spool.append("a.b", {"content": content})
        recorder.back()
        await spool.drain()
    assert contents(recorder) == ["a", "b", "c"]
    assert complaints == ["the hub refused an event: bad is bad"]


async def test_a_hub_in_passing_trouble_is_asked_again() -> None:
    trouble = [PeerError("SERVICE_UNAVAILABLE"), PeerError("TOO_MANY_REQUESTS")]
    recorder, complaints = Recorder(refusals=trouble), list[str]()
    async with sending(recorder, complaints) as spool:
        await spool.append("a.b", {"content": "a"})
        await spool.drain()
    assert contents(recorder) == ["a"]
    assert complaints == []
