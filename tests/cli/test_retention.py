"""Who returns to a hub that no longer holds what follows is told so, and given the rest."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from adohub.model import Position
from tests.cli.processes import Hub, history, publish, serving, sqlite_at
from tests.cli.traffic import TASK, TOPIC, traffic
from tests.net.raw import exchange, head
from tests.running import Peer, Refused, open_peer

KEPT = 50
"""How many events the hub keeps."""

CHANNELS = """
[channels."deploy.onRelease"]
topics = ["deploy.release"]
[channels."deploy.onStrictRelease"]
topics = ["deploy.release"]
on_gap = "error"
"""
CHANNEL, STRICT = "deploy.onRelease", "deploy.onStrictRelease"
RELEASE = "deploy.release"


def config(database: Path) -> str:
    return sqlite_at(database, max_events=KEPT) + CHANNELS


async def release(hub: Hub, numbers: range) -> Sequence[str]:
    """The ids of one event for each of `numbers`."""
    return await publish(hub.url, *((RELEASE, {"number": number}) for number in numbers))


async def resumed(hub: Hub, path: str, after: str, expected: int) -> tuple[bool, Sequence[int]]:
    """What `started` says to who has seen `after`, and the numbers that follow, up to a fresh 0."""
    async with open_peer(hub.url) as peer:
        started = await peer.subscribe(1, path, None, after)
        data = await peer.hear_all(expected)
        [fresh] = await release(hub, range(1))
        data.append(await peer.hear())
        assert data[-1]["result"]["id"] == fresh
        return started["recovered"], [message["result"]["data"]["number"] for message in data]


async def is_refused(hub: Hub, after: str) -> bool:
    """Whether a strict channel refuses who has seen `after`, and only that: the connection lives on."""
    async with open_peer(hub.url) as peer:
        try:
            await peer.subscribe(1, STRICT, None, after)
        except Refused as refused:
            code = refused.code
        else:
            return False
        await peer.is_served()
        return code == "PRECONDITION_FAILED"


async def gaps(hub: Hub) -> int:
    response = await exchange(int(hub.port), head("/metrics", {"Host": "hub", "Connection": "close"}))
    assert response is not None
    [value] = [line for line in response.body.decode().splitlines() if line.startswith("ado_hub_gaps_total ")]
    return int(float(value.split()[1]))


async def test_an_id_that_is_no_longer_kept_is_a_gap_before_and_after_a_restart(tmp_path: Path) -> None:
    toml = config(tmp_path / "hub.db")
    async with serving(tmp_path, toml) as hub:
        ids = await release(hub, range(100))
        assert await resumed(hub, CHANNEL, ids[79], 20) == (True, [*range(80, 100), 0])
        assert await resumed(hub, CHANNEL, ids[0], KEPT) == (False, [*range(51, 100), 0, 0])
        assert not await is_refused(hub, ids[-1])
        assert await is_refused(hub, ids[0])
        assert await gaps(hub) == 2
        assert (await hub.stop()).status == 0
    async with serving(tmp_path, toml) as again:
        assert await resumed(again, CHANNEL, ids[-1], 2) == (True, [0, 0, 0])
        assert await resumed(again, CHANNEL, ids[0], KEPT) == (False, [*range(53, 100), 0, 0, 0, 0])
        assert await is_refused(again, ids[0])
        assert await gaps(again) == 2


async def test_an_id_beyond_the_head_is_a_gap(tmp_path: Path) -> None:
    async with serving(tmp_path, config(tmp_path / "hub.db")) as hub:
        newest = Position.parse((await release(hub, range(10)))[-1])
        assert newest is not None
        beyond = str(Position(newest.epoch, newest.offset + 1))
        assert await is_refused(hub, beyond)
        assert await resumed(hub, CHANNEL, beyond, 10) == (False, [*range(10), 0])


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("restore", [shutil.copyfile, shutil.move], ids=["over it", "instead of it"])
async def test_who_has_seen_more_than_a_restored_copy_holds_is_told(
    tmp_path: Path, restore: Callable[[Path, Path], object], is_killed: bool
) -> None:
    database, backup = tmp_path / "hub.db", tmp_path / "backup.db"
    async with serving(tmp_path, config(database)) as hub:
        ids = [*await release(hub, range(10))]
        back_up(database, backup)
        ids += await release(hub, range(10, 20))
        await (hub.kill() if is_killed else hub.stop())
    remove_log(database)
    restore(backup, database)
    async with serving(tmp_path, config(database)) as hub:
        anew = await release(hub, range(20, 40))
        assert not set(ids) & set(anew)
        for seen in (ids[0], ids[9], ids[19]):
            assert await is_refused(hub, seen)
        assert await resumed(hub, CHANNEL, ids[19], 30) == (False, [*range(10), *range(20, 40), 0])


def back_up(database: Path, backup: Path) -> None:
    """As one does with a database that is in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)


def remove_log(database: Path) -> None:
    """It belongs to what is no more; a hub that was stopped has done so itself."""
    Path(f"{database}-wal").unlink(missing_ok=True)


async def test_resuming_while_events_pour_in_misses_none_and_repeats_none(tmp_path: Path) -> None:
    seen: list[str] = []
    async with serving(tmp_path, sqlite_at(tmp_path / "hub.db")) as hub:
        async with traffic(hub.url) as flow:
            await flow.until_acknowledged(1)
            for _ in range(20):
                async with open_peer(hub.url) as peer:
                    seen += await seen_after(peer, seen[-1] if seen else None)
            await flow.end()
        ids = [event["id"] for event in await history(hub.url, TOPIC)]
        first = ids.index(seen[0])
        assert seen == ids[first : first + len(seen)]


async def seen_after(peer: Peer, last: str | None) -> Sequence[str]:
    """The ids of the next few events, on a connection that is then left with others on their way."""
    wanted = {"topics": [TOPIC], "key": TASK}
    started = await peer.subscribe(1, "stream.onEvent", wanted, last)
    assert started.get("recovered", True)
    return [message["result"]["id"] for message in await peer.hear_all(7)]
