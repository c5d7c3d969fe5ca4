"""Under systemd: what it is told and when, the sockets that it holds, and the units that it is given."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
from attrs import define

from tests.cli.processes import PROGRAM, Hub, Running, adohub, ready, running, serving
from tests.net import raw
from tests.running import open_peer

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE_AT_MOST = 2.0
"""As `systemd-analyze security` counts it: 10 is a service without any confinement."""

# ── what it is told ──────────────────────────────────────────────────────────────────────────────────────


@define
class Listening:
    """The service manager's end."""

    address: str
    ours: trio.socket.SocketType

    async def heard(self) -> list[str]:
        """The words of the next message."""
        return (await self.ours.recv(4096)).decode().split("\n")

    async def until(self, word: str) -> list[str]:
        """The words of the next message that has this one."""
        while word not in (words := await self.heard()):
            pass
        return words


@asynccontextmanager
async def manager(address: str) -> AsyncIterator[Listening]:
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        await ours.bind("\0" + address[1:] if address.startswith("@") else address)
        yield Listening(address, ours)


@pytest.mark.parametrize("kind", ["path", "abstract"])
async def test_it_is_told_of_the_start_a_reload_and_the_end(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@adohub-test-{tmp_path.name}-{id(tmp_path)}"
    async with manager(address) as listening:
        async with serving(tmp_path, env={"NOTIFY_SOCKET": address}) as hub:
            await listening.until("STATUS=0 connections, 0 subscriptions")
            await listening.until("READY=1")
            hub.run.process.send_signal(signal.SIGHUP)
            [_, when] = await listening.until("RELOADING=1")
            assert when.startswith("MONOTONIC_USEC=")
            await listening.until("READY=1")
            hub.run.process.terminate()
            words = await listening.until("STOPPING=1")
            assert "EXTEND_TIMEOUT_USEC=15000000" in words, "the drain's time, and storage's"
            assert (await hub.run.ended()).status == 0


async def test_a_hub_that_cannot_start_never_says_that_it_is_ready(tmp_path: Path) -> None:
    async with manager(str(tmp_path / "notify")) as listening:
        toml = tmp_path / "hub.toml"
        toml.write_text('[server]\nhost = "0.0.0.0"\n')
        ended = await adohub("serve", "--config", str(toml), env={"NOTIFY_SOCKET": listening.address})
        assert ended.status == 2, "the one with which the unit does not try again"
        with trio.move_on_after(0.1) as scope:
            await listening.heard()
        assert scope.cancelled_caught


BLOCKING = """
import time
from adohub import Procedure, hookimpl

def block(input, call):
    time.sleep(1)

@hookimpl
def adohub_procedures(config):
    return [Procedure("test.block", "mutation", block)]
"""


async def test_the_event_loop_feeds_the_watchdog_and_one_that_is_blocked_does_not(tmp_path: Path) -> None:
    (tmp_path / "blocking.py").write_text(BLOCKING)
    toml = f'[plugins]\ndirectories = ["{tmp_path}"]\n'
    async with manager(str(tmp_path / "notify")) as listening:
        env = {"NOTIFY_SOCKET": listening.address, "WATCHDOG_USEC": "250000"}
        async with serving(tmp_path, toml, env=env) as hub, open_peer(hub.url) as peer:
            await listening.until("READY=1")
            for _ in range(3):
                assert await longest_silence(listening, 0.5) < 0.25
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.mutate, "test.block")
                assert await longest_silence(listening, 1.5) > 0.9


async def longest_silence(listening: Listening, seconds: float) -> float:
    """How long nothing was heard at most, in seconds."""
    longest, end = 0.0, trio.current_time() + seconds
    heard_at = trio.current_time()
    while heard_at < end:
        await listening.until("WATCHDOG=1")
        longest = max(longest, trio.current_time() - heard_at)
        heard_at = trio.current_time()
    return longest


async def test_a_manager_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    async with serving(tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "nobody")}) as hub:
        assert (await hub.stop()).status == 0


# ── the sockets it holds ─────────────────────────────────────────────────────────────────────────────────


@contextmanager
def held(family: int, address: object) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as holding:
        holding.bind(address)  # type: ignore[arg-type] # of either family
        holding.listen()
        yield holding


@asynccontextmanager
async def activated(folder: Path, holding: Sequence[socket.socket], toml: str = "") -> AsyncIterator[Hub]:
    """A hub that is given these sockets as systemd gives them: from descriptor 3 on, for this process."""
    async with started(folder, holding, toml) as run:
        yield await ready(run)


@asynccontextmanager
async def started(folder: Path, holding: Sequence[socket.socket], toml: str) -> AsyncIterator[Running]:
    (folder / "hub.toml").write_text(toml)
    moved = " ".join(f"{3 + number}<&{one.fileno()}" for number, one in enumerate(holding))
    launch = f'exec {moved}; LISTEN_PID=$$ LISTEN_FDS={len(holding)} exec "$@"'
    program = ("bash", "-c", launch, "bash", *PROGRAM)
    descriptors = [one.fileno() for one in holding]
    arguments = ("serve", "--config", str(folder / "hub.toml"))
    async with running(*arguments, cwd=folder, program=program, inheriting=descriptors) as run:
        yield run


async def test_a_hub_listens_where_it_is_told_and_leaves_the_sockets_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "held.sock"
    with held(socket.AF_INET, ("127.0.0.1", 0)) as tcp, held(socket.AF_UNIX, str(path)) as unix:
        async with activated(tmp_path, [tcp, unix], "[server]\nport = 1\n") as hub:
            assert hub.url == f"ws://127.0.0.1:{tcp.getsockname()[1]}"
            assert hub.unix_url == f"unix://{path}"
            for url in (hub.url, hub.unix_url):
                assert (await adohub("status", "--url", url)).status == 0
            assert (await hub.stop()).status == 0
        assert path.exists()


async def test_who_comes_while_the_hub_is_away_waits_and_is_served_by_the_next(tmp_path: Path) -> None:
    with held(socket.AF_INET, ("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        async with activated(tmp_path, [tcp]) as hub:
            assert (await hub.stop()).status == 0
        async with trio.open_nursery() as nursery:
            answers: list[int] = []

            async def ask() -> None:
                response = await raw.exchange(port, raw.head("/healthz"))
                assert response is not None
                answers.append(response.status)

            for _ in range(5):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert answers == []
            async with activated(tmp_path, [tcp]):
                while len(answers) < 5:  # noqa: ASYNC110 - the deadline is the process's
                    await trio.sleep(0.01)
        assert answers == [200] * 5


async def test_a_public_socket_needs_somebody_who_tells_who_connects(tmp_path: Path) -> None:
    with held(socket.AF_INET, ("0.0.0.0", 0)) as tcp:
        async with started(tmp_path, [tcp], "") as run:
            ended = await run.ended()
    assert ended.status == 2
    assert "LISTEN_FDS: other machines can reach 0.0.0.0" in ended.err


@pytest.mark.parametrize("kind", ["datagram", "silent"])
async def test_what_does_not_listen_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    with socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM
    ) as other:
        other.bind(("127.0.0.1", 0))
        async with started(tmp_path, [other], "") as run:
            ended = await run.ended()
    assert ended.status == 2
    assert "is no stream that listens; use ListenStream= and Accept=no" in ended.err


async def test_sockets_for_another_process_are_not_taken(tmp_path: Path) -> None:
    async with serving(tmp_path, env={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as hub:
        assert (await adohub("status", "--url", hub.url)).status == 0


async def test_systemds_own_program_starts_it_when_somebody_comes(tmp_path: Path) -> None:
    path = tmp_path / "activate.sock"
    activate = ("systemd-socket-activate", "--listen", str(path), *PROGRAM)
    async with running("serve", cwd=tmp_path, program=activate) as run:
        await run.until("Listening on")
        status = await adohub("status", "--url", f"unix://{path}")
        assert status.status == 0, status.err
        run.process.terminate()
        assert (await run.ended()).status == 0


# ── the units ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_units_in_the_repository_are_those_that_are_written() -> None:
    for scope, folder in (("--system", UNITS), ("--user", UNITS / "user")):
        printed = await adohub("systemd", "install", scope, "--print", "--program", "/usr/local/bin/adohub")
        files = [folder / name for name in ("adohub.service", "adohub@.service", "adohub.socket")]
        assert printed.out == "\n".join(file.read_text() for file in files)


async def test_written_units_are_in_order_and_confine_the_hub(tmp_path: Path) -> None:
    program = shutil.which("true") or ""
    for scope in ("--system", "--user"):
        folder = tmp_path / scope.strip("-")
        options = ["--dir", str(folder), "--program", program, "--config", "/etc/adohub/one.toml"]
        written = await adohub("systemd", "install", scope, *options)
        assert written.status == 0, written.err
        units = [str(folder / name) for name in ("adohub.service", "adohub@one.service", "adohub.socket")]
        assert analysed(["verify", scope, *units], tmp_path) == ""
        printed = await adohub("systemd", "install", scope, "--print", *options[2:])
        assert f"ExecStart={program} serve --config /etc/adohub/one.toml\n" in printed.out
    for name in ("adohub.service", "adohub@.service"):
        told = analysed(["security", "--offline=true", str(tmp_path / "system" / name)], tmp_path)
        exposure = told.strip().splitlines()[-1].partition(":")[2].split()[0]
        assert float(exposure) <= EXPOSURE_AT_MOST


def analysed(arguments: Sequence[str], folder: Path) -> str:
    """What systemd-analyze says."""
    env = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(folder), "SYSTEMD_COLORS": "0", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, env=env, check=False
    )
    return done.stdout + done.stderr


async def test_a_unit_that_somebody_has_changed_is_left_alone(tmp_path: Path) -> None:
    install = ["systemd", "install", "--user", "--dir", str(tmp_path), "--program", "/bin/true"]
    assert (await adohub(*install)).status == 0
    assert (await adohub(*install)).status == 0, "the same again is no change"
    changed = tmp_path / "adohub@.service"
    changed.write_text("mine\n")
    refused = await adohub(*install)
    assert refused.status == 2
    assert f"{changed} is there and differs; --force replaces it" in refused.err
    assert changed.read_text() == "mine\n"
    assert (await adohub(*install, "--force")).status == 0
    assert changed.read_text() != "mine\n"


async def test_a_program_that_no_service_of_the_system_sees_is_not_put_into_a_unit(tmp_path: Path) -> None:
    script = trio.Path(tmp_path / "adohub")
    await script.write_text("from adohub.cli import main\nmain()\n")
    install = ("systemd", "install", "--print")
    program, home = (sys.executable, str(script)), {"HOME": str(tmp_path)}
    async with running(*install, "--system", program=program, env=home) as refused:
        ended = await refused.ended()
    assert (ended.status, ended.out) == (2, "")
    assert f"{script} is in a home directory" in ended.err
    async with running(*install, "--user", program=program, env=home) as own:
        assert f"ExecStart={script} serve\n" in (await own.ended()).out


async def test_it_asks_for_whom() -> None:
    refused = await adohub("systemd", "install", "--print")
    assert refused.status == 2
    assert "--system or --user" in refused.err
