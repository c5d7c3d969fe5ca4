"""Ways for storage to fail under a running hub, and to be well again.

    async with full_disk(tmp_path) as fault:
        async with serving(tmp_path, fault.toml, program=fault.program) as hub:
            await fault.begin(hub)
            fault.end(hub)

Each works for an ordinary user as well as for root. Two need what not every machine allows, and raise
Unavailable where it does not; the stand-in before each needs nothing.
"""

from __future__ import annotations

import fcntl
import os
import resource
import sqlite3
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import trio
from attrs import frozen

from tests.cli.processes import PROGRAM, Hub, sqlite_at

DISK_BYTES = 16 * 1024 * 1024
"""More than twice what SQLite lets its log grow to."""

FULL = "cannot grow: the disk is full"
IO_ERROR = "cannot be read or written: the disk reports an error"
READ_ONLY = "is read-only"
LOCKED = "is locked by another process"

_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10
"""FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_IMMUTABLE_FL of <linux/fs.h>."""


class Unavailable(Exception):
    """This machine does not let us bring the fault about. The text says why."""


@frozen
class Fault:
    """What will be wrong with `database` from `begin` to `end`.

    `complaints` are what the hub is to log about it, one after the other. `program` runs the hub.
    """

    database: Path
    complaints: Sequence[str]
    begin: Callable[[Hub], Awaitable[None]]
    end: Callable[[Hub], None]
    program: tuple[str, ...] = PROGRAM

    @property
    def toml(self) -> str:
        """The configuration of a hub whose storage is to fail."""
        return sqlite_at(self.database)


Faults = Callable[[Path], AbstractAsyncContextManager[Fault]]
"""Makes a fault whose database is somewhere below the folder."""


# ── no room ──────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def file_size_limit(folder: Path) -> AsyncIterator[Fault]:
    """No file of the hub may grow any more, as with a quota that is used up."""
    database = folder / "hub.db"

    async def forbid_growing(hub: Hub) -> None:
        _limit_files(hub, _size(_log(database)))

    yield Fault(database, [IO_ERROR], forbid_growing, _lift_limit)


@asynccontextmanager
async def full_disk(folder: Path) -> AsyncIterator[Fault]:
    """Something else fills the disk, which only the hub has mounted. Raises Unavailable."""
    disk = folder / "disk"
    disk.mkdir()
    async with _mount(disk) as namespace:
        filler = Path(f"/proc/{namespace}/root{disk}/filler")

        async def fill(hub: Hub) -> None:
            _fill_with(filler)

        def make_room(hub: Hub) -> None:
            filler.unlink()

        enter = ("nsenter", f"--target={namespace}", "--user", "--mount", "--preserve-credentials")
        yield Fault(disk / "hub.db", [FULL], fill, make_room, (*enter, *PROGRAM))


@asynccontextmanager
async def _mount(disk: Path) -> AsyncIterator[int]:
    """The id of a process for which a small disk is mounted at `disk`; it is gone with the process."""
    mounting = f'mount -t tmpfs -o size={DISK_BYTES} adohub "$0" && echo mounted && exec cat'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounting, str(disk)]
    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if not await process.stdout.receive_some():
            raise Unavailable((await process.stderr.receive_some()).decode().strip())
        yield process.pid
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    await stream.aclose()


def _fill_with(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _size(file: Path) -> int:
    return file.stat().st_size


def _limit_files(hub: Hub, size: int) -> None:
    _, most = resource.prlimit(hub.run.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(hub.run.process.pid, resource.RLIMIT_FSIZE, (size, most))


def _lift_limit(hub: Hub) -> None:
    _limit_files(hub, resource.RLIM_INFINITY)


# ── no right to write ────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def read_only_file(folder: Path) -> AsyncIterator[Fault]:
    """The files' mode forbids writing. Who has them open may go on, so the hub is made to open them anew."""
    database = folder / "hub.db"

    async def forbid_writing(hub: Hub) -> None:
        _limit_files(hub, 0)
        _set_modes(database, 0o400)
        await hub.run.until(READ_ONLY)
        _lift_limit(hub)

    def permit_writing(hub: Hub) -> None:
        _set_modes(database, 0o600)

    yield Fault(database, [IO_ERROR, READ_ONLY], forbid_writing, permit_writing, heeding_modes())


def _set_modes(database: Path, mode: int) -> None:
    for file in (*_files(database), Path(f"{database}-shm")):
        file.chmod(mode)


def heeding_modes() -> tuple[str, ...]:
    """What runs a hub that may not write where a file's mode says so, as root might."""
    if os.geteuid() != 0:
        return PROGRAM
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *PROGRAM)


@asynccontextmanager
async def immutable_file(folder: Path) -> AsyncIterator[Fault]:
    """The files are immutable, which holds also for those who have them open. Raises Unavailable."""
    database = folder / "hub.db"
    probe = folder / "probe"
    probe.touch()
    try:
        _set_immutable(probe, True)
    except OSError as error:
        raise Unavailable(f"no file can be made immutable here: {error.strerror}") from error
    _set_immutable(probe, False)

    async def forbid_writing(hub: Hub) -> None:
        for file in _files(database):
            _set_immutable(file, True)

    def permit_writing(hub: Hub | None = None) -> None:
        for file in filter(Path.exists, _files(database)):
            _set_immutable(file, False)

    try:
        yield Fault(database, [IO_ERROR, READ_ONLY], forbid_writing, permit_writing)
    finally:
        permit_writing()  # or else nobody can remove the folder


def _files(database: Path) -> Sequence[Path]:
    """The database and its log, without the memory that connections share."""
    return [database, _log(database)]


def _log(database: Path) -> Path:
    return Path(f"{database}-wal")


def _set_immutable(file: Path, immutable: bool) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        [flags] = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(struct.calcsize("l"))))
        flags = flags | _IMMUTABLE if immutable else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", flags))
    finally:
        os.close(descriptor)


# ── no turn ──────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def locked_file(folder: Path) -> AsyncIterator[Fault]:
    """Somebody else is writing, and does not come to an end."""
    database = folder / "hub.db"
    intruders: list[sqlite3.Connection] = []

    async def lock(hub: Hub) -> None:
        intruders.append(sqlite3.connect(database, isolation_level=None))
        intruders[0].execute("BEGIN IMMEDIATE")

    def unlock(hub: Hub) -> None:
        intruders[0].close()

    yield Fault(database, [LOCKED], lock, unlock)
