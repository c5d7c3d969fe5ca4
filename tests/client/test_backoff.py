"""The waits between attempts to reconnect."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from adohub.client.backoff import BASE_S, CEILING_S, jittered


def test_waits_are_bounded_by_a_doubling_bound_and_a_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    waits = list(islice(jittered(), 2000))
    assert waits[:4] == [BASE_S, 2 * BASE_S, 4 * BASE_S, 8 * BASE_S]
    assert waits[-1] == CEILING_S
    assert max(waits) == CEILING_S


def test_two_clients_do_not_wait_in_step() -> None:
    assert list(islice(jittered(), 5)) != list(islice(jittered(), 5))
