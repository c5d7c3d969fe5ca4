"""`hub`: the built-in plugins at work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.builtin.socketless import Running, running


@pytest.fixture
async def hub() -> AsyncIterator[Running]:
    async with running() as hub:
        yield hub
