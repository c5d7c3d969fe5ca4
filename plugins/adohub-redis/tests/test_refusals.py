"""The log is told why something was refused: of each reason a line a minute, with a count."""

from __future__ import annotations

import pytest
import structlog.testing
import trio
import trio.testing
from adohub_redis.refusals import QUIET_S, SHOWN_CHARS, Refusals

pytestmark = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})], ids=["trio"]
)


async def test_a_reason_is_told_at_once_and_then_once_a_minute() -> None:
    refusals = Refusals("ado:events")
    with structlog.testing.capture_logs() as log:
        for _ in range(1000):
            refusals.note("it is no JSON")
        assert [(line["reason"], line["count"]) for line in log] == [("it is no JSON", 1)]
        await trio.sleep(QUIET_S)
        refusals.note("it is no JSON", number=5)
    assert [line["count"] for line in log] == [1, 999 + 5]


async def test_each_reason_is_told_by_itself() -> None:
    refusals = Refusals("ado:events")
    with structlog.testing.capture_logs() as log:
        refusals.note("it is no JSON")
        refusals.note("it is too long", "a" * 1000)
    assert [line["reason"] for line in log] == ["it is no JSON", "it is too long"]
    assert log[1]["topic"] == "a" * SHOWN_CHARS
    assert {line["channel"] for line in log} == {"ado:events"}
