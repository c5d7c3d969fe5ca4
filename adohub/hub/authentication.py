"""Who a peer is: authenticators in order, then the contract's rules for peers that show nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from adohub.errors import PeerError
from adohub.hub.policy import ALL_RIGHTS
from adohub.model import Principal
from adohub.plugin.contracts import Authenticator, Credentials

ANONYMOUS = "anonymous"


class Authentication:
    """Turns credentials into a principal.

    `trusted`: without any authenticator everybody is anonymous with all rights, as on loopback.
    """

    def __init__(
        self, authenticators: Sequence[Authenticator], *, allow_anonymous: bool, trusted: bool
    ) -> None:
        self._authenticators = authenticators
        self._allow_anonymous = allow_anonymous
        self._open = trusted and not authenticators

    async def identify(self, credentials: Credentials) -> Principal:
        """The principal who shows `credentials`. Raises PeerError UNAUTHORIZED.

        A credential that nobody accepts is refused even where anonymous peers are welcome. What an
        authenticator raises that is no PeerError passes through: it must not let anybody in.
        """
        if credentials.get("uid") == os.getuid():
            return Principal("owner", roles=[ALL_RIGHTS])
        for authenticator in self._authenticators:
            principal = await authenticator.authenticate(credentials)
            if principal is not None:
                return principal
        if self._open and "uid" not in credentials:
            return Principal(ANONYMOUS, roles=[ALL_RIGHTS])
        if credentials.get("token"):
            raise PeerError("UNAUTHORIZED", "this credential is not accepted")
        if self._allow_anonymous:
            return Principal(ANONYMOUS, roles=[ANONYMOUS])
        raise PeerError("UNAUTHORIZED", "a credential is needed: send a token")
