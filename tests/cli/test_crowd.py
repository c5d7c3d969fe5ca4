"""Ten thousand connect and say nothing: they cost little, are sent away in time, and nobody else notices.

In a hub of its own process, whose memory and descriptors can be told from the test's.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.cli.processes import Running, serving
from tests.running import open_peer, progress

CROWD = 10_000
SILENT_BYTES = 8 * 1024
"""What a connection may cost the hub while its first request is awaited; the kernel's part is not counted."""

GREETING_MS = 4000

CONFIG = f"""
[server]
max_connections = {CROWD + 100}
handshake_timeout_ms = {GREETING_MS}
"""


@pytest.fixture
def crowd() -> Iterator[int]:
    """How many can be here at a time; the limit of open files may allow fewer than ten thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(CROWD, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def silent_connections(port: int, number: int) -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    try:
        for _ in range(number):
            opened.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            opened[-1].setblocking(False)
        yield opened
    finally:
        for one in opened:
            one.close()


def resident_bytes(hub: Running) -> int:
    lines = Path(f"/proc/{hub.process.pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(kilobytes) * 1024


def has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


async def test_a_silent_crowd_is_bounded_in_memory_and_time_and_nobody_else_notices(
    tmp_path: Path, crowd: int
) -> None:
    async with serving(tmp_path, CONFIG) as hub, open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t", "replay": "none"})
        before = resident_bytes(hub.run)
        with silent_connections(int(hub.port), crowd) as silent:
            event_id = await peer.publish("task.progress", progress("t", 1))
            assert {(await peer.hear())["result"].get("id")} == {event_id}
            assert resident_bytes(hub.run) - before < crowd * SILENT_BYTES
            assert sum(map(has_ended, silent)) < crowd / 10, "so slow that the first are gone already"
            while not all(map(has_ended, silent)):  # the deadline is the process's
                await peer.is_served()
                await trio.sleep(0.05)
        await peer.is_served()
