"""A daemon starts only where it may, and ends in order: nobody cut off, nothing lost that was taken."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing
import trio
import trio.testing
from attrs import define, field

from adohub import Draft, Publish, Receipt, Source, StorageEngine, StorageSettings
from adohub import Storage as StorageContract
from adohub.builtin.memory import MemoryStorage
from adohub.checks import check_sharing
from adohub.config import Auth, Config, Plugins, Role, Server, Storage, UnixPeer
from adohub.config.storage import Sqlite
from adohub.daemon import Daemon
from adohub.errors import ConfigError, Problem
from adohub.plugin.loader import load as load_plugins
from adohub.plugin.registry import Contribution
from tests.net import raw
from tests.net.strangers import Patience, doorkeeper, strangers
from tests.running import (
    DEADLINE_S,
    Refused,
    built_in,
    completed,
    gates_made,
    open_peer,
    progress,
    request,
    running_hub,
    until,
)

SEEMS_PUBLIC = "127.1"
"""Not known as loopback, though the resolver makes it 127.0.0.1: a public address that no test exposes."""

FOR_EVER_MS = 3_600_000


async def problem_at_start(config: Config) -> Problem:
    """What is wrong with `config`, of which nothing shows before the start."""
    with trio.fail_after(DEADLINE_S):
        with pytest.raises(ConfigError) as wrong:
            await Daemon(config, built_in(config)).run()
    (problem,) = wrong.value.problems
    return problem


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_engine_that_nobody_brings_is_told_with_those_there_are() -> None:
    problem = await problem_at_start(Config(server=Server(port=0), storage=Storage(engine="memroy")))
    assert problem.path == "storage.engine"
    assert '"memroy"' in problem.message
    assert '"memory"' in problem.message


async def test_a_port_in_use_is_told_and_no_harm_to_who_uses_it() -> None:
    async with running_hub() as hub, open_peer(hub.url) as peer:
        problem = await problem_at_start(Config(server=Server(port=hub.port)))
        assert problem.path == "server.port"
        assert str(hub.port) in problem.message
        await peer.is_served()


AUTHENTICATOR = """
from adohub import Authenticator, hookimpl

@hookimpl
def adohub_authenticators(config):
    return [Authenticator("sso", None)]
"""


@pytest.mark.parametrize(
    "source",
    [
        "import nothing_of_this_name\n" + AUTHENTICATOR,
        AUTHENTICATOR.replace("adohub_authenticators", "adohub_authenticator"),
        AUTHENTICATOR.replace("return", "raise ValueError; return"),
        AUTHENTICATOR + "(",
    ],
    ids=["import", "hook's name", "hook", "syntax"],
)
async def test_a_hub_whose_authenticator_could_not_be_loaded_is_not_open(tmp_path: Path, source: str) -> None:
    (tmp_path / "sso.py").write_text(source)
    config = Config(server=Server(port=0), plugins=Plugins(directories=(str(tmp_path),)))
    with structlog.testing.capture_logs() as logs:
        async with running_hub(config, registry=load_plugins(config)) as hub:
            response = await raw.exchange(hub.port, raw.upgrade())
            assert response is not None
            assert response.status == 401
    assert [line["plugins"] for line in logs if "plugins" in line] == [["sso"]]


async def test_another_plugin_that_could_not_be_loaded_closes_nothing(tmp_path: Path) -> None:
    (tmp_path / "garden.py").write_text("import nothing_of_this_name\n")
    config = Config(server=Server(port=0), plugins=Plugins(directories=(str(tmp_path),)))
    async with running_hub(config, registry=load_plugins(config)) as hub, open_peer(hub.url) as peer:
        await peer.is_served()


async def test_users_and_groups_that_this_machine_does_not_know_are_told_at_the_start() -> None:
    peers = (UnixPeer("a", user="root", group="no-such-group"), UnixPeer("b", user="no-such-user"))
    config = Config(server=Server(port=0), auth=Auth(peers=peers))
    with pytest.raises(ConfigError) as wrong:
        await Daemon(config, built_in(config)).run()
    assert [str(problem) for problem in wrong.value.problems] == [
        'auth.peers[0].group: there is no group "no-such-group" on this machine',
        'auth.peers[1].user: there is no user "no-such-user" on this machine',
    ]


async def test_a_public_address_where_nothing_tells_who_connects_is_refused() -> None:
    problem = await problem_at_start(Config(server=Server(host=SEEMS_PUBLIC, port=0)))
    assert problem.path == "server.host"
    assert "auth.allow_anonymous" in problem.message


async def test_a_public_address_is_fine_with_an_authenticator() -> None:
    async with running_hub(Config(server=Server(host=SEEMS_PUBLIC, port=0)), doorkeeper()) as hub:
        async with open_peer(f"ws://127.0.0.1:{hub.port}", "/?token=good") as peer:
            await peer.is_served()


def anonymous_config(**roles: Role) -> Config:
    return Config(server=Server(host=SEEMS_PUBLIC, port=0), auth=Auth(allow_anonymous=True, roles=roles))


async def test_anonymous_peers_of_a_public_address_may_do_next_to_nothing_and_the_log_says_so() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub(anonymous_config()) as hub:
            async with open_peer(f"ws://127.0.0.1:{hub.port}") as peer:
                await peer.is_served()
                for attempt in (
                    peer.publish("task.progress", progress("t", 1)),
                    peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"}),
                ):
                    with pytest.raises(Refused) as refused:
                        await attempt
                    assert refused.value.code == "FORBIDDEN"
    assert any("hub.health" in line["event"] for line in logs if line["log_level"] == "warning")


async def test_anonymous_peers_may_do_what_their_role_says() -> None:
    async with running_hub(anonymous_config(anonymous=Role(publish=("task.**",)))) as hub:
        async with open_peer(f"ws://127.0.0.1:{hub.port}") as peer:
            await peer.publish("task.progress", progress("t", 1))
            with pytest.raises(Refused) as refused:
                await peer.publish("system.provider.status", {"type": "provider.status", "payload": 1})
            assert refused.value.code == "FORBIDDEN"


class SharedStorage:
    """An engine that other hubs may open, too; nothing is asked of it."""


@pytest.mark.parametrize(
    ("storage", "reuse_port", "warned"),
    [
        (MemoryStorage(StorageSettings(1, 1, 1)), True, True),
        (MemoryStorage(StorageSettings(1, 1, 1)), False, False),
        (SharedStorage(), True, False),
    ],
)
def test_hubs_that_share_a_port_and_no_events_are_warned_of(
    storage: StorageContract, reuse_port: bool, warned: bool
) -> None:
    with structlog.testing.capture_logs() as logs:
        check_sharing(Config(server=Server(reuse_port=reuse_port)), storage)
    assert [(line["log_level"], line["engine"]) for line in logs] == [("warning", "memory")] * warned


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_the_warning_is_given_at_the_start(engine: str, tmp_path: Path) -> None:
    kept = Storage(engine=engine, sqlite=Sqlite(path=str(tmp_path / "adohub.db")))
    with structlog.testing.capture_logs() as logs:
        async with running_hub(Config(server=Server(port=0, reuse_port=True), storage=kept)):
            pass
    warned = [line["engine"] for line in logs if "share a port" in line["event"]]
    assert warned == [engine]


# ── ending ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_drain_closes_idle_connections_with_1012_and_ends_no_subscription() -> None:
    async with running_hub() as hub, open_peer(hub.url) as one, open_peer(hub.url) as other:
        await one.subscribe(1, "stream.onSystemEvent")
        await other.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        hub.daemon.stop()
        for peer in (one, other):
            assert await peer.heard_before_close() == []  # so no `stopped`, which would be for good
            assert await peer.closed() == (1012, "the hub restarts; reconnect to resume")


async def test_a_drain_waits_for_the_calls_in_flight_and_no_longer() -> None:
    config = Config(server=Server(port=0, drain_timeout_ms=FOR_EVER_MS))
    patience = Patience()
    async with running_hub(config, strangers(patience)) as hub:
        async with open_peer(hub.url) as busy, open_peer(hub.url) as idle:
            await busy.tell(request(1, "query", "test.wait"))
            await until(lambda: patience.begun)
            hub.daemon.stop()
            assert (await idle.closed())[0] == 1012
            assert (await busy.query("hub.health"))["status"] == "draining"
            patience.let_go.set()
            assert [message["id"] for message in await busy.heard_before_close()] == [1]
            assert (await busy.closed())[0] == 1012


async def test_a_hub_that_drains_leaves_a_shared_port_to_the_others() -> None:
    config = Config(server=Server(port=0, reuse_port=True, drain_timeout_ms=FOR_EVER_MS))
    patience = Patience()
    async with running_hub(config, strangers(patience)) as hub, open_peer(hub.url) as busy:
        await busy.tell(request(1, "query", "test.wait"))
        await until(lambda: patience.begun)
        hub.daemon.stop()
        while (await busy.query("hub.health"))["status"] != "draining":
            await trio.lowlevel.checkpoint()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", hub.port)
        patience.let_go.set()
        assert [message["id"] for message in await busy.heard_before_close()] == [1]


async def test_a_drain_takes_no_longer_than_it_is_given() -> None:
    config = Config(server=Server(port=0, drain_timeout_ms=200))
    patience = Patience()
    async with running_hub(config, strangers(patience)) as hub, open_peer(hub.url) as busy:
        await busy.tell(request(1, "query", "test.wait"))
        await until(lambda: patience.begun)
        hub.daemon.stop()
        assert await busy.heard_before_close() == []


async def test_a_second_stop_ends_the_drain_at_once() -> None:
    config = Config(server=Server(port=0, drain_timeout_ms=FOR_EVER_MS))
    patience = Patience()
    async with running_hub(config, strangers(patience)) as hub, open_peer(hub.url) as busy:
        await busy.tell(request(1, "query", "test.wait"))
        await until(lambda: patience.begun)
        hub.daemon.stop()
        while (await busy.query("hub.health"))["status"] != "draining":
            await trio.lowlevel.checkpoint()
        hub.daemon.stop()
        assert await busy.heard_before_close() == []


async def test_after_the_end_nothing_listens_and_nothing_is_connected() -> None:
    with gates_made() as gates:
        async with running_hub() as hub, open_peer(hub.url) as peer:
            await peer.is_served()
        assert gates[0].connections == 0
        with pytest.raises(OSError, match=str(hub.port)):
            await trio.open_tcp_stream("127.0.0.1", hub.port)


async def until_nothing_listens(port: int) -> None:
    """Return once connecting to `port` is refused."""
    while True:
        try:
            await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
        except OSError:
            return


@define
class SlowStorage(MemoryStorage):
    """Appends when it is let; `history` tells what happened in which order."""

    settings: StorageSettings
    let: trio.Event = field(factory=trio.Event)
    history: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__init__(self.settings)

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        self.history.append("append begins")
        await self.let.wait()
        receipts = await super().append(drafts)
        self.history.append(f"{len(drafts)} stored")
        return receipts


class Spring(MemoryStorage):
    """Takes something in by itself."""

    def sources(self) -> Sequence[Source]:
        return [Source("spring", self._spring)]

    async def _spring(self, publish: Publish) -> None:
        await publish("task.completed", completed("t"))


async def test_what_a_storage_engine_takes_in_by_itself_is_published() -> None:
    @asynccontextmanager
    async def open_spring(settings: StorageSettings) -> AsyncIterator[StorageContract]:
        yield Spring(settings)

    config = Config(server=Server(port=0), storage=Storage(engine="spring"))
    spring = Contribution("spring", storage_engines=[StorageEngine("spring", open_spring)])
    async with running_hub(config, spring) as hub, open_peer(hub.url) as peer:
        await peer.subscribe(1, "stream.onTaskCompleted", {"taskId": "t"})
        assert (await peer.hear())["result"]["data"]["taskId"] == "t"


@pytest.mark.parametrize("hurried", [False, True], ids=["one stop", "two stops"])
async def test_what_was_submitted_is_stored_before_storage_closes(hurried: bool) -> None:
    opened: list[SlowStorage] = []

    @asynccontextmanager
    async def open_slow(settings: StorageSettings) -> AsyncIterator[StorageContract]:
        opened.append(SlowStorage(settings))
        yield opened[0]
        opened[0].history.append("closed")

    config = Config(server=Server(port=0, drain_timeout_ms=200), storage=Storage(engine="slow"))
    slow = Contribution("slow", storage_engines=[StorageEngine("slow", open_slow)])
    async with running_hub(config, slow) as hub, open_peer(hub.url) as peer:
        event = {"topic": "task.completed", "payload": completed("t")}
        await peer.tell([request(number, "mutation", "events.publish", event) for number in range(3)])
        assert await peer.heard_before_pong() == []  # all three are on their way
        hub.daemon.stop()
        if hurried:
            hub.daemon.stop()
        await peer.heard_before_close()
        await until_nothing_listens(hub.port)
        await trio.testing.wait_all_tasks_blocked()
        assert not hub.ended.is_set()
        opened[0].let.set()
    assert opened[0].history[-1] == "closed"
    assert opened[0].head().offset == 3


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────

PROGRAM = """
import trio
from adohub import daemon
from adohub.config import Config, Server
from adohub.plugin.loader import load

config = Config(server=Server(port=0))
trio.run(daemon.serve, daemon.Daemon(config, load(config)), lambda urls: print(urls[0], flush=True))
"""


@asynccontextmanager
async def hub_process() -> AsyncIterator[tuple[trio.Process, str]]:
    """A hub in a process of its own, and its URL."""
    process = await trio.lowlevel.open_process([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        with trio.fail_after(DEADLINE_S):
            async with process.stdout:
                yield process, (await process.stdout.receive_some()).decode().strip()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_process_exits_with_0(number: signal.Signals) -> None:
    async with hub_process() as (process, url), open_peer(url) as peer:
        await peer.is_served()
        process.send_signal(number)
        assert (await peer.closed())[0] == 1012
        assert await process.wait() == 0


async def test_sighup_ends_nothing() -> None:
    async with hub_process() as (process, url), open_peer(url) as peer:
        process.send_signal(signal.SIGHUP)
        await peer.is_served()
        process.send_signal(signal.SIGTERM)
        assert (await peer.closed())[0] == 1012
        assert await process.wait() == 0
