"""The tests of a plugin run as its author would run them: against adohub as it is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from adohub_redis.storage import open_redis
from adohub_redis.testing import Server, valkey

from adohub import Storage, StorageSettings

Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]


DEADLINE_S = 20.0
"""After how many seconds a test with a hub has hung."""


@pytest.fixture
def anyio_backend() -> str:
    """Trio, as the hub."""
    return "trio"


@pytest.fixture
def hub() -> Opening:
    """Opens the engine at a URL, as a hub of its own; `timeout_ms` is its publish_timeout_ms."""
    numbers = count(1)

    @asynccontextmanager
    async def open_(
        url: str, *, timeout_ms: int = 5000, replicas: int = 0, max_events: int = 1000
    ) -> AsyncIterator[Storage]:
        table = {"url": url, "prefix": "ado", "publish_timeout_ms": timeout_ms, "wait_replicas": replicas}
        instance = f"hub{next(numbers)}"
        limits = StorageSettings(max_events, 3600, 60, table, state_keys={"state": 100}, instance=instance)
        with trio.fail_after(DEADLINE_S):
            async with open_redis(limits) as storage:
                yield storage

    return open_


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server of its own for each test."""
    async with valkey(tmp_path / "valkey") as server:
        yield server
