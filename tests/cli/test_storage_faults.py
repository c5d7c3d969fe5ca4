"""A hub whose storage fails while it runs: it says so, tells no lie, goes on, and recovers by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from tests.cli.faults import (
    Fault,
    Faults,
    Unavailable,
    file_size_limit,
    full_disk,
    immutable_file,
    locked_file,
    read_only_file,
)
from tests.cli.processes import Hub, adohub, history, serving
from tests.cli.traffic import PUBLISHERS, TOPIC, Traffic, traffic
from tests.net.raw import exchange, head
from tests.running import Refused, open_peer, progress

FAULTS = [file_size_limit, full_disk, read_only_file, immutable_file, locked_file]

SOME = 10
"""How many events are enough to see that something goes on."""

REFUSAL = ("SERVICE_UNAVAILABLE", "storage cannot be used just now; try again")
READY = (200, {"status": "ok"})
DEGRADED = (503, {"status": "degraded", "storage": "unavailable"})


async def readiness(hub: Hub) -> tuple[int, object]:
    """What a load balancer is told."""
    response = await exchange(int(hub.port), head("/readyz", {"Host": "hub", "Connection": "close"}))
    assert response is not None
    return response.status, json.loads(response.body)


async def until_ready(hub: Hub) -> None:
    while await readiness(hub) != READY:  # noqa: ASYNC110 - nothing tells of it
        await trio.sleep(0.02)


async def kept_ids(hub: Hub) -> Sequence[str]:
    return [event["id"] for event in await history(hub.url, TOPIC)]


async def check_that_it_says_so(hub: Hub) -> None:
    assert await readiness(hub) == DEGRADED
    async with open_peer(hub.url) as peer:
        assert (await peer.query("hub.health"))["status"] == "degraded"
    status = await adohub("status", "--url", hub.url)
    assert status.status == 0
    assert status.lines[0].startswith(f"{hub.url}: degraded, ")


async def check_that_the_rest_goes_on(hub: Hub, flow: Traffic) -> None:
    acknowledged = set(flow.acknowledged)
    await flow.ping()
    assert acknowledged <= set(await kept_ids(hub))
    async with open_peer(hub.url) as newcomer:
        await newcomer.subscribe(1, "stream.onSystemEvent")
        assert await newcomer.heard_before_pong() == []
        await newcomer.subscribe(2, "stream.onEvent", {"topics": [TOPIC], "replay": "all"})
        replayed = {(await newcomer.hear())["result"]["id"] for _ in acknowledged}
        assert replayed == acknowledged


def check_log(hub: Hub, fault: Fault) -> None:
    """One line when each trouble began, and one when the last was over."""
    told = [(line["event"], line.get("error")) for line in hub.log if line["level"] != "debug"]
    began = [("storage takes no events", f"{fault.database} {complaint}") for complaint in fault.complaints]
    assert [line for line in told if line[0].startswith("storage")] == [
        *began,
        ("storage takes events again", None),
    ]


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: faults.__name__)
async def test_storage_that_fails_is_lived_with_until_it_is_well_again(
    faults: Faults, tmp_path: Path
) -> None:
    try:
        await live_with(faults, tmp_path)
    except Unavailable as reason:
        pytest.skip(str(reason))


async def live_with(faults: Faults, folder: Path) -> None:
    async with faults(folder) as fault:
        async with serving(folder, fault.toml, program=fault.program) as hub:
            async with traffic(hub.url) as flow:
                await flow.until_acknowledged(SOME)
                await fault.begin(hub)
                await flow.until_refused(PUBLISHERS)
                await check_that_it_says_so(hub)
                await check_that_the_rest_goes_on(hub, flow)
                fault.end(hub)
                await until_ready(hub)
                await flow.until_acknowledged(SOME)
                await flow.end()
                assert {(refused.code, refused.message) for refused in flow.refusals} == {REFUSAL}
                assert flow.seen == await kept_ids(hub) == flow.acknowledged
            assert (await hub.stop()).status == 0
            check_log(hub, fault)
        async with serving(folder, fault.toml, program=fault.program) as again:
            assert await kept_ids(again) == flow.acknowledged


async def test_it_recovers_though_nobody_publishes(tmp_path: Path) -> None:
    async with file_size_limit(tmp_path) as fault, serving(tmp_path, fault.toml) as hub:
        async with open_peer(hub.url) as peer:
            await peer.publish(TOPIC, progress("t", 1))
            await fault.begin(hub)
            with pytest.raises(Refused):
                await peer.publish(TOPIC, progress("t", 2))
            assert await readiness(hub) == DEGRADED
            fault.end(hub)
            await until_ready(hub)
        assert [event["payload"]["progress"] for event in await history(hub.url, TOPIC)] == [1]
