"""A stock client that was away for too long goes on with what is left, or is told, as configured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.cli.processes import Hub, publish, serving
from tests.cli.test_retention import CHANNEL, KEPT, RELEASE, STRICT, config
from tests.clients.puppet import Sub, puppet


async def release(hub: Hub, numbers: range) -> None:
    await publish(hub.url, *((RELEASE, {"number": number}) for number in numbers))


def numbers_seen(sub: Sub) -> list[int]:
    return [event["number"] for event in sub.data]


@pytest.mark.parametrize("version", ["v11", "v11.18"])
async def test_who_returns_too_late_goes_on_with_the_rest_or_is_told(
    version: Literal["v11", "v11.18"], tmp_path: Path
) -> None:
    toml = config(tmp_path / "hub.db")
    async with serving(tmp_path, toml) as hub:
        async with puppet(version, hub.url, retryDelayMs=50) as client:
            lenient, strict = await client.subscribe(CHANNEL), await client.subscribe(STRICT)
            for sub in (lenient, strict):
                await sub.until(lambda sub: "started" in sub.events)
            await release(hub, range(10))
            for sub in (lenient, strict):
                await sub.until(lambda sub: len(sub.data) == 10)
            await hub.kill()
            async with serving(tmp_path, toml) as elsewhere:
                await release(elsewhere, range(10, 10 + 2 * KEPT))
                await elsewhere.stop()
            async with serving(tmp_path, toml, port=hub.port) as again:
                await strict.until(lambda sub: sub.errors)
                await lenient.until(lambda sub: len(sub.data) == 10 + KEPT)
                await release(again, range(1))
                await lenient.until(lambda sub: len(sub.data) == 10 + KEPT + 1)
                assert numbers_seen(lenient) == [*range(10), *range(10 + KEPT, 10 + 2 * KEPT), 0]
                assert numbers_seen(strict) == [*range(10)]
                assert [error["data"]["code"] for error in strict.errors] == ["PRECONDITION_FAILED"]
                assert lenient.errors == []
