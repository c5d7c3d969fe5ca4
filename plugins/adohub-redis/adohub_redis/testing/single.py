"""One server alone: open to all, behind a password, or with a user who may do only what the rules say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from adohub_redis.testing.server import Server, quoted, server

Fsync = Literal["always", "everysec", "no"]
"""When the append-only file is flushed to disk: `appendfsync`."""

USER = "hub"
"""Who `acl` lets in."""

ENOUGH = (
    "+@read",
    "+@write",
    "+@connection",
    "+@scripting",
    "+@pubsub",
    "-@dangerous",
    "+info",
    "+time",
    "+wait",
)
"""What a hub's user must be allowed to do with its keys and channels, as ACL rules."""

_SECRET = "s3cret"  # noqa: S105 - of a server that lives for one test


def durability(*, appendonly: bool, fsync: Fsync) -> Sequence[str]:
    """What is kept through a crash: the append-only file as it was flushed, or nothing."""
    return ('save ""', f"appendonly {'yes' if appendonly else 'no'}", f"appendfsync {fsync}")


def valkey(
    directory: Path,
    *,
    appendonly: bool = True,
    fsync: Fsync = "always",
    password: str | None = None,
    extra: Iterable[str] = (),
) -> AbstractAsyncContextManager[Server]:
    """A server with its data in `directory`; what is there already, it loads.

    `extra`: more lines of its configuration, such as "maxmemory 10mb". Raises StartFailed.
    """
    lines = [*durability(appendonly=appendonly, fsync=fsync), *extra]
    if password is None:
        return server(directory, *lines)
    locked = f"requirepass {quoted(password)}"
    return server(directory, *lines, locked, login=f":{quote(password, safe='')}@", password=password)


@asynccontextmanager
async def acl(
    directory: Path,
    commands: Iterable[str] = ENOUGH,
    *,
    prefix: str = "ado",
) -> AsyncIterator[Server]:
    """A server whose `url` logs in as a user held to the keys and channels of `prefix`.

    `commands`: what else the user may do, as ACL rules. `Server.command` is still the default user's, who may
    do everything. Raises StartFailed.
    """
    own = (f"~{{{prefix}}}:*", "resetchannels", f"&{prefix}:*")
    user = " ".join([f"user {USER} on >{_SECRET}", *own, *commands])
    lines = durability(appendonly=True, fsync="always")
    async with server(directory, *lines, user, login=f"{USER}:{_SECRET}@") as restricted:
        yield restricted
