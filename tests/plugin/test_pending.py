"""A pending result calls back in order, can be awaited late and by many, and is there once."""

from __future__ import annotations

import pytest
import structlog.testing
import trio
import trio.testing

from adohub import Pending, StorageError


def pending() -> Pending[int]:
    return Pending()


async def test_callbacks_run_in_order_as_soon_as_there_is_a_result_and_at_once_afterwards() -> None:
    result, heard = pending(), list[str]()
    result.when_done(lambda: heard.append("first"))
    result.when_done(lambda: heard.append("second"))
    assert heard == []
    with trio.testing.assert_no_checkpoints():
        result.succeed(5)
    assert heard == ["first", "second"]
    result.when_done(lambda: heard.append("late"))
    assert heard == ["first", "second", "late"]
    assert result.result() == 5


async def test_it_may_be_awaited_early_late_and_by_many() -> None:
    result, heard = pending(), list[int]()

    async def wait() -> None:
        heard.append(await result)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert heard == []
        result.succeed(7)
    assert [*heard, await result] == [7, 7, 7]


async def test_what_follows_from_it_is_known_when_it_is() -> None:
    result, heard = pending(), list[str]()
    text = result.then(lambda value: f"{value} events")
    twice = text.then(lambda words: f"{words}, {words}")
    twice.when_done(lambda: heard.append(twice.result()))
    result.succeed(3)
    assert heard == ["3 events, 3 events"]
    assert await text == "3 events"


async def test_a_failure_is_raised_for_whoever_asks() -> None:
    result = pending()
    text = result.then(str)
    result.fail(StorageError("disk full"))
    for one in (result, text):
        with pytest.raises(StorageError, match=r"^disk full$"):
            one.result()
        with pytest.raises(StorageError, match=r"^disk full$"):
            await one


def test_a_callback_that_raises_is_logged_and_the_next_is_called() -> None:
    result, heard = pending(), list[str]()

    def crash() -> None:
        raise LookupError("lost")

    result.when_done(crash)
    result.when_done(lambda: heard.append("next"))
    with structlog.testing.capture_logs() as logs:
        result.succeed(1)
    assert heard == ["next"]
    assert [line["log_level"] for line in logs] == ["error"]


def test_a_result_is_there_once_and_not_before() -> None:
    result = pending()
    with pytest.raises(RuntimeError, match="no result yet"):
        result.result()
    result.succeed(1)
    with pytest.raises(RuntimeError, match="a result already"):
        result.succeed(2)
    with pytest.raises(RuntimeError, match="a result already"):
        result.fail(StorageError("late"))
    assert result.result() == 1
