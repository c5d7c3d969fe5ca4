"""Processes that connect to the unix socket: `[[auth.peers]]`, by what the system says of them.

A token that is shown decides alone: whoever shows one wants to be who it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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


@hookimpl
def adohub_authenticators(config: Sequence[UnixPeer]) -> list[Authenticator]:
    if not config:
        return []

    async def authenticate(credentials: Credentials) -> Principal | None:
        if "uid" not in credentials or credentials.get("token"):
            return None
        for entry in config:
            is_user = entry.uid in (None, credentials["uid"])
            is_member = entry.gid is None or entry.gid in credentials["gids"]
            if is_user and is_member:
                return Principal(entry.name, roles=entry.roles)
        return None

    return [Authenticator("peers", authenticate)]
