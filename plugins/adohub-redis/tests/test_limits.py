"""What is bounded: answers by their bytes, and what is newest of each key however fast new keys come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from adohub_redis.entries import Arrived
from adohub_redis.pace import ANSWER_BYTES, FIRST_EVENTS, MOST_EVENTS, Pace
from adohub_redis.testing import Server, valkey

from adohub import Storage
from adohub.testing.storage.words import EVERYTHING, draft, read_all

MEGABYTE = 1024 * 1024

Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with valkey(tmp_path, fsync="no") as server:
        yield server


def arrived(size: int) -> Arrived:
    return Arrived((1, "t", None, b"x" * size, "", b""), (), 0.0, is_heard=False)


def test_more_is_asked_for_while_answers_are_short_up_to_a_limit() -> None:
    pace = Pace()
    assert pace.count == FIRST_EVENTS
    for _ in range(20):
        pace.note([arrived(1)] * pace.count)
    assert pace.count == MOST_EVENTS


def test_less_is_asked_for_after_a_long_answer_or_none_but_never_nothing() -> None:
    pace = Pace()
    pace.note([arrived(ANSWER_BYTES + 1)])
    assert pace.count == FIRST_EVENTS // 2
    for _ in range(20):
        pace.slow_down()
    assert pace.count == 1


def test_an_answer_that_was_not_full_says_nothing() -> None:
    pace = Pace()
    pace.note([arrived(1)])
    assert pace.count == FIRST_EVENTS


async def test_large_events_are_read_in_by_whoever_comes_later(server: Server, hub: Opening) -> None:
    async with hub(server.url) as storage:
        for _ in range(40):
            await storage.append([draft("t.a", "k", text="x" * MEGABYTE)])
        async with hub(server.url) as late:
            assert late.head() == storage.head()
            assert len(await read_all(late, EVERYTHING)) == 40


async def test_what_is_newest_is_let_go_of_as_fast_as_new_keys_come(server: Server, hub: Opening) -> None:
    async with hub(server.url, max_events=10) as storage:
        for start in range(0, 20_000, 5_000):
            await storage.append([draft("t.a", str(start + number)) for number in range(5_000)])
        with trio.fail_after(10):
            while int(str(await server.command("ZCARD", "{ado}:order"))) > 500:  # noqa: ASYNC110
                await trio.sleep(0.05)
        newest = await storage.latest(EVERYTHING)
        assert [event.key for event in newest.events][-1] == "19999"
