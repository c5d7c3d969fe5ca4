"""How long refusals are held: not at first, ever longer for an address that goes on, never for others."""

from __future__ import annotations

import pytest
import structlog.testing
from trio.testing import MockClock

from adohub.hub.failures import MOST_ADDRESSES, WINDOW_S, Failures, source_of

PER_MINUTE = 30
LONGEST_S = 5.0

SOMEBODY = {"address": "192.0.2.1", "token": "hunter2"}
ANOTHER = {"address": "192.0.2.2", "token": "hunter2"}

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def failures() -> Failures:
    return Failures(PER_MINUTE, LONGEST_S)


def used_up(failures: Failures) -> None:
    """All refusals that one address hears at once."""
    assert [failures.note(SOMEBODY, "wrong") for _ in range(PER_MINUTE)] == [0.0] * PER_MINUTE


async def test_as_many_refusals_as_a_minute_has_come_at_once(failures: Failures) -> None:
    used_up(failures)
    assert failures.note(SOMEBODY, "wrong") > 0


async def test_the_more_there_are_the_later_they_come_up_to_the_longest(failures: Failures) -> None:
    used_up(failures)
    holds = [failures.note(SOMEBODY, "wrong") for _ in range(100)]
    for number, hold in enumerate(holds, start=1):
        longest = min(number * WINDOW_S / PER_MINUTE, LONGEST_S)
        assert 0.5 * longest <= hold <= longest + 1e-9
    assert len(set(holds)) == 100, "they would all come back at one moment"


async def test_another_address_is_not_made_to_wait(failures: Failures) -> None:
    used_up(failures)
    assert failures.note(ANOTHER, "wrong") == 0


async def test_who_goes_on_at_the_pace_that_is_allowed_is_not_made_to_wait(
    failures: Failures, clock: MockClock
) -> None:
    used_up(failures)
    for _ in range(3 * PER_MINUTE):
        clock.jump(WINDOW_S / PER_MINUTE)
        assert failures.note(SOMEBODY, "wrong") < 1e-6


async def test_after_quiet_minutes_all_is_forgiven_however_many_there_were(
    failures: Failures, clock: MockClock
) -> None:
    for _ in range(10_000):
        failures.note(SOMEBODY, "wrong")
    clock.jump(WINDOW_S + LONGEST_S)
    used_up(failures)


async def test_of_a_crowd_of_addresses_only_so_many_are_remembered(failures: Failures) -> None:
    used_up(failures)
    for number in range(MOST_ADDRESSES):
        failures.note({"address": f"host-{number}"}, "wrong")
    assert failures.note(SOMEBODY, "wrong") == 0


async def test_each_that_comes_at_once_is_logged_and_of_those_that_come_late_their_number(
    failures: Failures, clock: MockClock
) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(PER_MINUTE + 7):
            failures.note(SOMEBODY, "expired")
        clock.jump(2 * WINDOW_S)
        failures.note(SOMEBODY, "expired")
    assert [line["unsaid"] for line in logs] == [*PER_MINUTE * [0], 7]
    assert {(line["address"], line["reason"]) for line in logs} == {("192.0.2.1", "expired")}
    assert "hunter2" not in str(logs)


@pytest.mark.parametrize(
    ("credentials", "source"),
    [
        ({"address": "192.0.2.1"}, "192.0.2.1"),
        ({"address": "::ffff:192.0.2.1"}, "192.0.2.1"),
        ({"address": "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"),
        ({"address": "2001:db8:1:2::"}, "2001:db8:1:2::/64"),
        ({"address": "fe80::1%eth0"}, "fe80::/64"),
        ({"address": "unix", "uid": 33}, "uid 33"),
        ({"address": "test"}, "test"),
        ({}, ""),
    ],
)
def test_who_is_held_to_account(credentials: dict[str, object], source: str) -> None:
    assert source_of(credentials) == source
