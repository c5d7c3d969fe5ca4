"""How much a principal may publish in a second: one second's worth at one moment, whatever others do."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from adohub.config import Role
from adohub.errors import OverLimit
from adohub.hub.policy import ALL_RIGHTS
from adohub.hub.rates import MOST_PRINCIPALS, Rates
from adohub.model import Draft, Principal

ROLES = {
    "slow": Role(max_events_per_s=10),
    "fast": Role(max_events_per_s=20),
    "thin": Role(max_bytes_per_s=1000),
    "free": Role(publish=("**",)),
}
SLOW = Principal("a", roles=["slow", "free"])
THIN = Principal("t", roles=["thin"])

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def rates() -> Rates:
    return Rates(ROLES)


def drafts(number: int, size: int = 1) -> list[Draft]:
    return [Draft("t", None, b"x" * size, "2026-01-01T00:00:00.000Z")] * number


def refused(rates: Rates, principal: Principal, number: int, size: int = 1) -> OverLimit:
    with pytest.raises(OverLimit) as error:
        rates.take(principal, drafts(number, size))
    assert error.value.code == "TOO_MANY_REQUESTS"
    return error.value


async def test_a_second_s_worth_passes_at_one_moment_and_no_more(rates: Rates) -> None:
    for _ in range(10):
        rates.take(SLOW, drafts(1))
    assert refused(rates, SLOW, 1).limit == "max_events_per_s"


async def test_who_waits_as_long_as_it_is_told_may_go_on(rates: Rates, clock: MockClock) -> None:
    rates.take(SLOW, drafts(10))
    wait_ms = refused(rates, SLOW, 3).data["retryAfterMs"]
    assert 300 <= wait_ms <= 301
    clock.jump((wait_ms - 2) / 1000)
    refused(rates, SLOW, 3)
    clock.jump(0.002)
    rates.take(SLOW, drafts(3))
    refused(rates, SLOW, 1)


async def test_over_a_long_time_no_more_passes_than_the_rate(rates: Rates, clock: MockClock) -> None:
    passed = 0
    for _ in range(10_000):
        try:
            rates.take(SLOW, drafts(1))
            passed += 1
        except OverLimit:
            pass
        clock.jump(0.001)
    assert 10 * 10 <= passed <= 10 * 10 + 10


async def test_what_is_refused_takes_nothing(rates: Rates) -> None:
    rates.take(SLOW, drafts(8))
    for _ in range(5):
        refused(rates, SLOW, 3)
    rates.take(SLOW, drafts(2))


async def test_bytes_are_counted_apart_and_a_refusal_by_bytes_takes_no_events(rates: Rates) -> None:
    both = Principal("b", roles=["slow", "thin"])
    rates.take(both, drafts(1, 900))
    assert refused(rates, both, 1, 200).limit == "max_bytes_per_s"
    rates.take(both, drafts(9, 10))
    assert refused(rates, both, 1).limit == "max_events_per_s"


async def test_what_is_more_than_ever_passes_is_not_to_be_tried_again(rates: Rates) -> None:
    assert refused(rates, SLOW, 11).data == {}
    assert refused(rates, THIN, 1, 1001).data == {}


async def test_principals_do_not_share(rates: Rates) -> None:
    rates.take(SLOW, drafts(10))
    rates.take(Principal("another", roles=["slow"]), drafts(10))


async def test_of_several_roles_the_largest_limit_counts(rates: Rates) -> None:
    rates.take(Principal("c", roles=["slow", "fast"]), drafts(20))


@pytest.mark.parametrize("roles", [["free"], ["slow", ALL_RIGHTS], [], ["unknown"]])
async def test_without_a_role_that_has_a_limit_there_is_none(rates: Rates, roles: list[str]) -> None:
    rates.take(Principal("d", roles=roles), drafts(1_000_000))


async def test_of_a_crowd_of_principals_only_so_many_are_remembered(rates: Rates) -> None:
    rates.take(SLOW, drafts(10))
    for number in range(MOST_PRINCIPALS):
        rates.take(Principal(f"p{number}", roles=["slow"]), drafts(1))
    rates.take(SLOW, drafts(10))
