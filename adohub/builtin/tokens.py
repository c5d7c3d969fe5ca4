"""Static tokens: `[[auth.tokens]]` of the configuration, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

from adohub import Authenticator, Credentials, Principal, hookimpl


class Token(Protocol):
    """One entry of `[[auth.tokens]]`."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def roles(self) -> Sequence[str]: ...


@hookimpl
def adohub_authenticators(config: Sequence[Token]) -> list[Authenticator]:
    if not config:
        return []

    async def authenticate(credentials: Credentials) -> Principal | None:
        token = credentials.get("token")
        if not isinstance(token, str):
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for entry in config:  # all of them, always: the time taken tells nothing
            if hmac.compare_digest(entry.sha256.lower(), digest):
                found = Principal(entry.name, roles=entry.roles)
        return found

    return [Authenticator("tokens", authenticate)]
