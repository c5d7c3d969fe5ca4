"""Thousands connect and say nothing, or next to nothing: they are sent away, and nobody else notices.

In a hub of its own process, whose memory and descriptors can be told from the test's.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio

from tests.cli.processes import Hub, Running, serving
from tests.net import raw
from tests.running import Peer, open_peer, progress, until

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
    """Whether the hub has ended it, whatever it said before."""
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


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


# ── those that say next to nothing ───────────────────────────────────────────────────────────────────────

SLOW = 5_000
BEGINNING = b"POST /trpc/events.publish HTTP/1.1\r\nHost: hub\r\nX-Slow: "
LONG = BEGINNING + b"x" * 15_000
"""As much of a head as there may nearly be: to read it anew for each byte is what a stranger wants."""


def descriptors(hub: Running) -> int:
    return len(list(Path(f"/proc/{hub.process.pid}/fd").iterdir()))


async def say_a_little(opened: list[socket.socket]) -> None:
    """A byte more of each head, for as long as anybody listens."""
    while True:
        for connection in opened:
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                connection.send(b"x")
        await trio.sleep(0.2)


async def answered(port: int) -> bool:
    response = await raw.exchange(port, raw.head("/healthz"))
    return response is not None and response.status == 200


async def test_thousands_of_slow_heads_end_by_the_deadline_and_newcomers_are_served_throughout(
    tmp_path: Path, crowd: int
) -> None:
    """Twice: what the first crowd leaves behind is the allocator's, and the second leaves no more."""
    after = []
    async with serving(tmp_path, CONFIG) as hub, open_peer(hub.url) as peer:
        for _ in range(2):
            await outlived(hub, peer, min(SLOW, crowd))
            after.append(resident_bytes(hub.run))
    assert after[1] < 1.1 * after[0]


async def outlived(hub: Hub, peer: Peer, number: int) -> None:
    """So many slow heads come and go. Fails if anybody else notices, or a descriptor is left behind."""
    port, base = int(hub.port), descriptors(hub.run)
    with silent_connections(port, number) as slow:
        for connection in slow:
            connection.send(LONG)
        async with trio.open_nursery() as saying:
            saying.start_soon(say_a_little, slow)
            rounds = 0
            while not all(map(has_ended, slow)):  # the deadline is the process's
                async with open_peer(hub.url) as newcomer:
                    await newcomer.is_served()
                assert await answered(port)
                await peer.is_served()
                rounds += 1
            saying.cancel_scope.cancel()
        assert rounds > 1, "they were not slow at all"
    await until(lambda: descriptors(hub.run) <= base)


@pytest.mark.parametrize(
    "said", [b"", BEGINNING, raw.upgrade("/?connectionParams=1")], ids=["nothing", "half a head", "no params"]
)
async def test_when_it_is_full_of_those_that_have_not_said_who_they_are_a_newcomer_is_served_at_once(
    tmp_path: Path, crowd: int, said: bytes
) -> None:
    number = min(1000, crowd)
    toml = f"[server]\nmax_connections = {number}\nhandshake_timeout_ms = 60000\n"
    async with serving(tmp_path, toml) as hub, open_peer(hub.url) as early:
        port = int(hub.port)
        await early.is_served()
        with silent_connections(port, number) as silent:
            for connection in silent:
                connection.send(said)
            for _ in range(20):
                async with open_peer(hub.url) as newcomer:
                    await newcomer.is_served()
                assert await answered(port)
            assert sum(map(has_ended, silent)) < number / 2, "more had to go than needed"
        await early.is_served()
