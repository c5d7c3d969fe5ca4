"""A crowd of stock clients whose credential is refused comes back rarely, and nobody else is kept waiting."""

from __future__ import annotations

import pytest

from tests.clients.puppet import Version
from tests.clients.storm import SHOWN, WAYS, storm

CLIENTS = 200
SECONDS = 5.0


@pytest.mark.parametrize(("version", "shown"), WAYS)
async def test_refused_clients_try_less_than_once_a_second_and_others_are_served(
    version: Version, shown: SHOWN
) -> None:
    found = await storm(version, shown, clients=CLIENTS, seconds=SECONDS)
    assert 0 < found.attempts_per_s < 1
    assert found.served_newcomers == 5
