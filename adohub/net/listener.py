"""Sockets that listen: TCP and unix. Opened here, closed here, and accepted from without ever giving up."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
import struct
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import structlog
import trio
from attrs import frozen

from adohub.errors import ConfigError, Problem

BACKLOG = 4096
"""How many connections may wait to be accepted."""

UNSENT_BYTES = 32 * 1024
"""How much the kernel queues for a peer beyond what is under way to it.

Measured reason: to a peer that reads 1 MB/s while more than that is published a PONG takes 3.3 s through the
megabytes that Linux queues by itself, and 0.3 s so; clients take a connection for dead after about a second.
"""

ACCEPTS_AT_A_TIME = 64
"""After how many connections others may run."""

PAUSE_S = 0.1
"""How long accepting rests when the system has no more descriptors or memory, in seconds."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_UCRED = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""Linux's number for it (asm-generic/socket.h), since 4.13; Python has no name for it."""

_MOST_GROUPS = 256
"""How many groups a process may have for the hub to know them: Python asks for no longer an answer."""

_log = structlog.get_logger("adohub.listener")


@frozen
class Peer:
    """Who is at the other end: an address; of a process on this machine its user and groups, by number."""

    address: str
    uid: int | None = None
    gids: Sequence[int] = ()


@frozen
class Listener:
    """One listening socket, and the address at which users reach it."""

    socket: socket.socket
    url: str
    unix_path: Path | None = None
    is_shared: bool = False
    """Whether other processes may listen there, too, or will once this one has gone."""

    def close(self) -> None:
        """Stop listening, unless that is done; a unix socket's file goes with it."""
        if self.socket.fileno() < 0:
            return
        trio.lowlevel.notify_closing(self.socket)
        self.socket.close()
        if self.unix_path is not None:
            self.unix_path.unlink(missing_ok=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, be it in brackets, and no name."""
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


async def listen_tcp(host: str, port: int, *, reuse_port: bool = False, is_secure: bool = False) -> Listener:
    """Listen on `host` and `port` (0: a free one). Raises ConfigError when that cannot be.

    With `reuse_port` other processes of the same user may listen there, too, if they all say so: the system
    spreads new connections over them. `is_secure`: whether its users are to speak TLS.
    """
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        message = "this system cannot spread the connections of one port over several hubs; use false"
        raise ConfigError([Problem("", "server.reuse_port", message)])
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.setblocking(False)
            listening.bind(address)
            listening.listen(BACKLOG)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise ConfigError(
            [Problem("", "server.host" if error.errno != errno.EADDRINUSE else "server.port", message)]
        ) from error
    url = _url(host, listening.getsockname()[1], is_secure=is_secure)
    return Listener(listening, url, is_shared=reuse_port)


def _url(host: str, port: int, *, is_secure: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{'wss' if is_secure else 'ws'}://{shown}:{port}"


def take_over(listening: socket.socket, *, is_secure: bool = False) -> Listener:
    """Listen on what somebody else has opened and keeps open: whoever comes when we are gone waits in it.

    Raises ConfigError for what is no stream socket that listens, on TCP or a path.
    """
    is_listening = listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    name = listening.getsockname()
    if listening.type != socket.SOCK_STREAM or not is_listening:
        message = f"the inherited socket {name} is no stream that listens; use ListenStream= and Accept=no"
        raise ConfigError([Problem("", "LISTEN_FDS", message)])
    listening.setblocking(False)
    if listening.family == socket.AF_UNIX:
        return Listener(listening, f"unix://{name}", is_shared=True)
    return Listener(listening, _url(name[0], name[1], is_secure=is_secure), is_shared=True)


def listen_unix(path: Path, *, mode: int = 0o600, group: str = "") -> Listener:
    """Listen on a unix socket at `path`. A dead one is replaced, a live one never taken over.

    `group` is a name or a number, empty for the process's own. At no moment is it wider open than `mode`, and
    nobody can connect before it is just so. Raises ConfigError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        _remove_stale(path)
        mask = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(mask)
        _give(path, mode, group)
        listening.listen(BACKLOG)
    except ConfigError:
        listening.close()
        path.unlink(missing_ok=True)
        raise
    except OSError as error:
        listening.close()
        message = f"cannot listen on {path}: {error.strerror or error}"
        raise ConfigError([Problem("", "server.unix_socket", message)]) from error
    return Listener(listening, f"unix://{path.absolute()}", path)


def _give(path: Path, mode: int, group: str) -> None:
    """Let whoever may open it. The group first: with the mode of before it is nobody's but ours."""
    try:
        if group:
            os.chown(path, -1, int(group) if group.isdigit() else grp.getgrnam(group).gr_gid)
        path.chmod(mode)
    except (LookupError, OSError) as error:
        reason = "there is no such group" if isinstance(error, LookupError) else error.strerror
        message = f"the unix socket cannot be given to the group {group}: {reason}"
        raise ConfigError([Problem("", "server.unix_socket_group", message)]) from error


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(errno.EADDRINUSE, "another process is listening there")


async def accept(listener: Listener, serve: Callable[[socket.socket, Peer], None]) -> None:
    """Hand every connection to `serve`, for ever; returns when the listener is closed."""
    while listener.socket.fileno() >= 0:
        try:
            await trio.lowlevel.wait_readable(listener.socket)
            _accept_waiting(listener, serve)
        except trio.ClosedResourceError:
            return
        except OSError as error:
            if listener.socket.fileno() < 0:
                return
            _log.warning("cannot accept connections just now", error=error.strerror)
            await trio.sleep(PAUSE_S)


def _accept_waiting(listener: Listener, serve: Callable[[socket.socket, Peer], None]) -> None:
    """Accept some of those that wait. Raises OSError when the system has run out of something."""
    for _ in range(ACCEPTS_AT_A_TIME):
        try:
            connected, address = listener.socket.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if error.errno in _EXHAUSTED or listener.socket.fileno() < 0:
                raise
            continue  # that one connection was gone before it was accepted
        connected.setblocking(False)
        serve(connected, _peer(connected, address))


def _peer(connected: socket.socket, address: object) -> Peer:
    if connected.family == socket.AF_UNIX:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _, uid, gid = _UCRED.unpack(credentials)
        return Peer("unix", uid, (gid, *_groups(connected)))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return Peer(str(address[0]) if isinstance(address, tuple) else str(address))


def _groups(connected: socket.socket) -> Sequence[int]:
    """The supplementary groups of the process at the other end; none where the system does not tell."""
    try:
        numbers = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    except OSError:
        return ()
    return struct.unpack(f"{len(numbers) // 4}I", numbers)
