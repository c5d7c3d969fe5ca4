"""Listening sockets: opened or refused in plain words, accepted from without giving up, gone at the end."""

from __future__ import annotations

import errno
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from adohub.config import Config, Server
from adohub.errors import ConfigError
from adohub.net.listener import ACCEPTS_AT_A_TIME, Peer, accept, is_loopback, listen_tcp, listen_unix
from tests.net import raw
from tests.net.strangers import doorkeeper
from tests.running import DEADLINE_S, open_peer, running_hub


def at(path: Path) -> Config:
    return Config(server=Server(port=0, unix_socket=str(path)))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example.com", False),
    ],
)
def test_only_addresses_that_no_other_machine_reaches_are_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


# ── TCP ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_port_that_is_taken_is_told_by_its_key() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    port = listener.socket.getsockname()[1]
    with pytest.raises(ConfigError) as wrong:
        await listen_tcp("127.0.0.1", port)
    listener.close()
    (problem,) = wrong.value.problems
    assert problem.path == "server.port"
    assert f"127.0.0.1:{port}" in problem.message


async def test_a_host_that_is_not_ours_is_told_by_its_key() -> None:
    with pytest.raises(ConfigError) as wrong:
        await listen_tcp("192.0.2.1", 0)
    assert wrong.value.problems[0].path == "server.host"


async def test_a_port_can_be_taken_again_at_once() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        await peer.is_served()
        port = hub.port
    async with running_hub(Config(server=Server(port=port))) as hub, open_peer(hub.url) as peer:
        await peer.is_served()


async def test_a_port_is_shared_by_those_who_all_say_so() -> None:
    first = await listen_tcp("127.0.0.1", 0, reuse_port=True)
    port = first.socket.getsockname()[1]
    second = await listen_tcp("127.0.0.1", port, reuse_port=True)
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        await listen_tcp("127.0.0.1", port)
    assert first.url == second.url
    first.close()
    second.close()


async def test_a_port_that_another_does_not_share_cannot_be_shared() -> None:
    alone = await listen_tcp("127.0.0.1", 0)
    port = alone.socket.getsockname()[1]
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        await listen_tcp("127.0.0.1", port, reuse_port=True)
    alone.close()


async def test_a_system_that_cannot_share_ports_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ConfigError) as wrong:
        await listen_tcp("127.0.0.1", 0, reuse_port=True)
    (problem,) = wrong.value.problems
    assert problem.path == "server.reuse_port"
    assert "use false" in problem.message
    (await listen_tcp("127.0.0.1", 0)).close()


# ── unix ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_unix_socket_is_for_its_owner_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with running_hub(at(path)) as hub:
        assert hub.urls[1] == f"unix://{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with open_peer(hub.urls[1]) as peer:
            await peer.is_served()
    assert not path.exists()


async def test_over_the_unix_socket_the_hubs_own_user_may_do_everything_without_a_token(
    tmp_path: Path,
) -> None:
    async with running_hub(at(tmp_path / "hub.sock"), doorkeeper()) as hub, open_peer(hub.urls[1]) as peer:
        await peer.publish("system.provider.status", {"type": "provider.status", "payload": None})
        await peer.subscribe(1, "stream.onEvent", {"topics": ["**"]})


async def test_tcp_and_unix_lead_to_the_same_hub(tmp_path: Path) -> None:
    async with running_hub(at(tmp_path / "hub.sock")) as hub:
        async with open_peer(hub.url) as tcp, open_peer(hub.urls[1]) as unix:
            await unix.subscribe(1, "stream.onSystemEvent")
            event_id = await tcp.publish("system.provider.status", {"type": "provider.status", "payload": 1})
            assert (await unix.hear())["result"]["id"] == event_id


async def test_a_socket_that_a_dead_hub_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
        left_behind.listen()
    async with running_hub(at(path)) as hub, open_peer(hub.urls[1]) as peer:
        await peer.is_served()


async def test_a_live_socket_is_never_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with running_hub(at(path)) as hub:
        with pytest.raises(ConfigError, match="another process is listening there"):
            listen_unix(path)
        async with open_peer(hub.urls[1]) as peer:
            await peer.is_served()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("precious")
    with pytest.raises(ConfigError) as wrong:
        listen_unix(path)
    assert wrong.value.problems[0].path == "server.unix_socket"
    assert path.read_text() == "precious"


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        listen_unix(tmp_path / "nowhere" / "hub.sock")


def test_a_group_that_is_not_there_is_told_by_its_key_and_no_socket_stays_behind(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with pytest.raises(ConfigError) as wrong:
        listen_unix(path, group="no-such-group")
    [problem] = wrong.value.problems
    assert problem.path == "server.unix_socket_group"
    assert problem.message.endswith("no-such-group: there is no such group")
    assert not path.exists()


async def test_when_the_unix_socket_cannot_be_the_port_is_free_again(tmp_path: Path) -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    port = listener.socket.getsockname()[1]
    listener.close()
    with pytest.raises(ExceptionGroup):
        async with running_hub(Config(server=Server(port=port, unix_socket=str(tmp_path)))):
            pytest.fail("it started")
    (await listen_tcp("127.0.0.1", port)).close()


# ── when the system has run out ──────────────────────────────────────────────────────────────────────────

FEW_DESCRIPTORS = 40
PROGRAM = f"""
import resource, sys, trio
from adohub import daemon
from adohub.config import Config, Server
from adohub.plugin.loader import load

def announce(urls):
    resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW_DESCRIPTORS}, {FEW_DESCRIPTORS}))
    print(urls[0].rpartition(":")[2], flush=True)

config = Config(server=Server(port=0))
trio.run(daemon.serve, daemon.Daemon(config, load(config)), announce)
"""


@asynccontextmanager
async def hub_with_few_descriptors() -> AsyncIterator[tuple[int, trio.abc.ReceiveStream]]:
    """A hub in a process that may open no more than FEW_DESCRIPTORS: its port, and what it logs."""
    process = await trio.lowlevel.open_process([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        with trio.fail_after(DEADLINE_S):
            async with process.stdout:
                yield int(await process.stdout.receive_some()), process.stdout
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def test_without_descriptors_accepting_pauses_and_goes_on_when_there_are_some_again() -> None:
    async with hub_with_few_descriptors() as (port, log), open_peer(f"ws://127.0.0.1:{port}") as early:
        crowd = [await raw.connected(port) for _ in range(2 * FEW_DESCRIPTORS)]
        assert b"cannot accept connections just now" in await log.receive_some()
        await early.is_served()
        for stream in crowd:
            await stream.aclose()
        async with open_peer(f"ws://127.0.0.1:{port}") as late:
            await late.is_served()
        await early.is_served()


async def test_a_listener_may_be_closed_while_accepting_rests() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    exhausted = trio.Event()

    def run_out(connected: socket.socket, _: Peer) -> None:
        connected.close()
        exhausted.set()
        raise OSError(errno.EMFILE, "Too many open files")

    with socket.create_connection(listener.socket.getsockname()), trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, listener, run_out)
            await exhausted.wait()
            listener.close()


async def test_others_run_while_many_are_accepted() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    number = 5 * ACCEPTS_AT_A_TIME
    clients = [socket.create_connection(listener.socket.getsockname()) for _ in range(number)]
    accepted: list[socket.socket] = []
    seen = [0]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, listener, lambda connected, _: accepted.append(connected))
            while len(accepted) < number:
                await trio.lowlevel.checkpoint()
                seen.append(len(accepted))
            listener.close()
    for each in (*clients, *accepted):
        each.close()
    between = max(after - before for before, after in pairwise(seen))
    assert between <= 2 * ACCEPTS_AT_A_TIME  # at the end of one turn and at the beginning of the next
