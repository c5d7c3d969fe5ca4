"""Processes that connect to the unix socket: `[[auth.peers]]`, by what the system says of them.

A token that is shown decides alone: whoever shows one wants to be who it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from adohub import Authenticator, Credentials, Principal, hookimpl


class UnixPeer(Protocol):
    """One entry of `[[auth.peers]]`."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> int | None: ...
    @property
    def gid(self) -> int | None: ...
    @property
    def roles(self) -> Sequence[str]: ...


def _known(config: Sequence[UnixPeer]) -> Iterator[_Known]:
    """Those that this machine knows: with others no hub starts (`adohub.checks.check_peers`)."""
    for entry in config:
        with suppress(LookupError):
            yield _Known(entry.uid, entry.gid, Principal(entry.name, roles=entry.roles))


class _Known(NamedTuple):
    """An entry's numbers, looked up at the start: that can take a server, for which nobody waits later."""

    uid: int | None
    gid: int | None
    principal: Principal


@hookimpl
def adohub_authenticators(config: Sequence[UnixPeer]) -> list[Authenticator]:
    if not config:
        return []
    known = list(_known(config))

    async def authenticate(credentials: Credentials) -> Principal | None:
        if "uid" not in credentials or credentials.get("token"):
            return None
        for uid, gid, principal in known:
            if uid in (None, credentials["uid"]) and (gid is None or gid in credentials["gids"]):
                return principal
        return None

    return [Authenticator("peers", authenticate)]
