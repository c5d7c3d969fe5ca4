"""The redis engine keeps the storage contract, on a real server."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest
import trio
from adohub_redis.storage import open_redis
from adohub_redis.testing import Server
from attrs import evolve

from adohub import Storage, StorageSettings
from adohub.testing.storage import CHECKS, DURABLE_CHECKS, PATIENCE_S, Check, Engine


def engine(server: Server) -> Engine:
    moment = 0.0
    opened = 0

    def open_(settings: StorageSettings) -> AbstractAsyncContextManager[Storage]:
        nonlocal opened
        opened += 1
        table = {"url": server.url, "prefix": "ado", "publish_timeout_ms": 5000, "wait_replicas": 0}
        return open_redis(evolve(settings, table=table, instance=f"hub{opened}"), lambda: moment)

    async def pass_time(seconds: float) -> None:
        nonlocal moment
        moment += seconds

    async def lose() -> None:
        await server.command("FLUSHALL")

    return Engine(open_, pass_time, durable=True, lose=lose)


@pytest.mark.parametrize("check", [*CHECKS, *DURABLE_CHECKS], ids=lambda check: check.__name__)
async def test_the_storage_contract(check: Check, server: Server) -> None:
    with trio.fail_after(PATIENCE_S):
        await check(engine(server))
