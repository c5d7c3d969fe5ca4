"""A database that is damaged under a running hub: told clearly, then and at the next start, and got over."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from tests.cli.processes import Hub, adohub, history, serving, sqlite_at
from tests.cli.test_storage_faults import DEGRADED, REFUSAL, SOME, readiness
from tests.cli.traffic import PUBLISHERS, TOPIC, Traffic, traffic
from tests.running import Refused, open_peer

PAGE_BYTES = 4096
ADVICE = "is damaged; restore a backup, or move it away to begin anew"


@contextmanager
def stopped(hub: Hub) -> Iterator[None]:
    """The hub does nothing during the block."""
    hub.run.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        hub.run.process.send_signal(signal.SIGCONT)


def works_log_through(database: Path) -> bool:
    """Whether all that is in the log could be brought into the file: not if the hub is about to write."""
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        [busy, _, _] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def overwrite_pages(database: Path) -> None:
    """Every page but the first, which says that this is a database."""
    with database.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(PAGE_BYTES)
        file.write(b"\xa5" * (size - PAGE_BYTES))


async def damage(hub: Hub, database: Path) -> None:
    while True:
        with stopped(hub):
            if works_log_through(database):
                overwrite_pages(database)
                return
        await trio.sleep(0.01)


async def check_running_hub(hub: Hub, flow: Traffic) -> None:
    assert await readiness(hub) == DEGRADED
    await flow.ping()
    async with open_peer(hub.url) as peer:
        with pytest.raises(Refused) as refused:
            await peer.query("events.history", {"topics": [TOPIC]})
        assert (refused.value.code, refused.value.message) == REFUSAL
        await peer.subscribe(1, "stream.onSystemEvent")
        assert await peer.heard_before_pong() == []
        await peer.subscribe(2, "stream.onEvent", {"topics": [TOPIC], "replay": "all"})
        assert (await peer.closed())[0] == 1013


async def test_a_damaged_file_is_told_while_the_hub_runs_and_when_it_starts(tmp_path: Path) -> None:
    database = tmp_path / "hub.db"
    async with serving(tmp_path, sqlite_at(database)) as hub:
        async with traffic(hub.url) as flow:
            await flow.until_acknowledged(SOME)
            await damage(hub, database)
            await flow.until_refused(PUBLISHERS)
            await check_running_hub(hub, flow)
            await flow.until_refused(SOME)
            await flow.end()
        assert {(refused.code, refused.message) for refused in flow.refusals} == {REFUSAL}
        assert flow.seen == flow.acknowledged
        assert (await hub.stop()).status == 0
        told = [(line["event"], line["error"]) for line in hub.log if line["level"] == "error"]
        assert sorted(told) == [
            ("storage cannot be read", f"{database} {ADVICE}"),
            ("storage takes no events", f"{database} {ADVICE}"),
        ]
    again = await adohub("serve", "--config", str(tmp_path / "hub.toml"), "--port", "0", cwd=tmp_path)
    assert (again.status, again.out, again.err) == (1, "", f"adohub: {database} {ADVICE}\n")
    database.rename(tmp_path / "damaged.db")
    async with serving(tmp_path, sqlite_at(database)) as hub, open_peer(hub.url) as peer:
        started = await peer.subscribe(1, "stream.onEvent", {"topics": [TOPIC]}, flow.seen[-1])
        assert started["recovered"] is False
        assert await history(hub.url, TOPIC) == []
