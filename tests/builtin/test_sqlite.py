"""The sqlite engine keeps the storage contract, also through closing and opening."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
from attrs import evolve

from adohub import Storage, StorageSettings
from adohub.builtin.sqlite.storage import open_sqlite
from adohub.testing.storage import CHECKS, DURABLE_CHECKS, PATIENCE_S, Check, Engine


def engine(path: Path) -> Engine:
    moment = 1_000_000.0

    def open_(settings: StorageSettings) -> AbstractAsyncContextManager[Storage]:
        table = {"path": str(path), "synchronous": "normal"}
        return open_sqlite(evolve(settings, table=table), lambda: moment)

    async def pass_time(seconds: float) -> None:
        nonlocal moment
        moment += seconds

    async def lose() -> None:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()

    return Engine(open_, pass_time, durable=True, lose=lose)


@pytest.mark.parametrize("check", [*CHECKS, *DURABLE_CHECKS], ids=lambda check: check.__name__)
async def test_the_storage_contract(check: Check, tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        await check(engine(tmp_path / "events.db"))
