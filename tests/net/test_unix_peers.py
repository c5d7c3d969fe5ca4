"""The unix socket: who connects is known by what the system says, whoever that is."""

from __future__ import annotations

import grp
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
import trio_websocket

from adohub.config import Auth, Config, Role, Server, UnixPeer
from tests.net import raw
from tests.running import Peer, Refused, RunningHub, running_hub

STRANGER, GROUP, SUPPLEMENTARY = 60_001, 60_002, 60_003

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as somebody else")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def another_user(uid: int, gid: int, groups: Sequence[int]) -> Iterator[None]:
    """Be somebody else. Nothing may be awaited meanwhile."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def connected(
    path: Path, uid: int = STRANGER, gid: int = GROUP, groups: Sequence[int] = ()
) -> trio.SocketStream:
    """A connection that another user has made."""
    connecting = socket.socket(socket.AF_UNIX)
    try:
        with another_user(uid, gid, groups):
            connecting.connect(str(path))
    except OSError:
        connecting.close()
        raise
    return trio.SocketStream(trio.socket.from_stdlib_socket(connecting))


@asynccontextmanager
async def hub_for(path: Path, *peers: UnixPeer) -> AsyncIterator[RunningHub]:
    """A hub whose socket is open to all users, and whose role `reader` may receive tasks."""
    config = Config(
        server=Server(port=0, unix_socket=str(path), unix_socket_mode="0666"),
        auth=Auth(peers=peers, roles={"reader": Role(subscribe=("task.*",))}),
    )
    async with running_hub(config) as hub:
        yield hub


async def status(stream: trio.SocketStream, request: bytes) -> int:
    async with stream:
        await stream.send_all(request)
        response = raw.response(bytes(await stream.receive_some()))
    assert response is not None
    return response.status


@pytest.mark.parametrize(
    "peer",
    [
        UnixPeer("them", user=str(STRANGER), roles=("reader",)),
        UnixPeer("them", group=str(GROUP), roles=("reader",)),
        UnixPeer("them", group=str(SUPPLEMENTARY), roles=("reader",)),
        UnixPeer("them", user=str(STRANGER), group=str(SUPPLEMENTARY), roles=("reader",)),
    ],
    ids=["user", "group", "supplementary group", "both"],
)
async def test_a_user_that_is_named_gets_its_rights_and_no_more(open_folder: Path, peer: UnixPeer) -> None:
    path = open_folder / "hub.sock"
    async with (
        hub_for(path, peer),
        connected(path, groups=[SUPPLEMENTARY]) as stream,
        trio.open_nursery() as nursery,
    ):
        them = Peer(await trio_websocket.wrap_client_stream(nursery, stream, "hub", "/"))
        await them.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        with pytest.raises(Refused, match=r'them may not subscribe "agent\.output"'):
            await them.subscribe(2, "stream.onAgentOutput", {"taskId": "t"})
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "peers",
    [
        (),
        (UnixPeer("others", user=str(STRANGER + 9), roles=("reader",)),),
        (UnixPeer("others", group=str(SUPPLEMENTARY), roles=("reader",)),),
        (UnixPeer("others", user=str(STRANGER), group=str(SUPPLEMENTARY), roles=("reader",)),),
    ],
    ids=["nobody named", "another user", "another group", "not of the group as well"],
)
async def test_any_other_user_is_refused(open_folder: Path, peers: Sequence[UnixPeer]) -> None:
    path = open_folder / "hub.sock"
    async with hub_for(path, *peers):
        assert await status(connected(path), raw.upgrade()) == 401
        assert await status(connected(path), raw.head("/trpc/hub.health")) == 401
        assert await status(connected(path, 0, 0), raw.upgrade()) == 101


async def test_whoever_runs_the_hub_lets_nobody_else_in_by_default(open_folder: Path) -> None:
    path = open_folder / "hub.sock"
    async with running_hub(Config(server=Server(port=0, unix_socket=str(path)))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(PermissionError):
            connected(path)


@pytest.mark.parametrize("group", [str(GROUP), "nogroup"])
async def test_a_group_may_open_it_and_nobody_else(open_folder: Path, group: str) -> None:
    path = open_folder / "hub.sock"
    gid = GROUP if group.isdigit() else grp.getgrnam(group).gr_gid
    server = Server(port=0, unix_socket=str(path), unix_socket_mode="0660", unix_socket_group=group)
    async with running_hub(Config(server=server)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await status(connected(path, gid=gid), raw.head("/healthz")) == 200
        with pytest.raises(PermissionError):
            connected(path, gid=gid + 1)
