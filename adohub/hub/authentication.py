"""Who a peer is: authenticators in order, then the contract's rules for peers that show nothing.

Law: a refusal is counted, logged with its reason and never with the credential, and held if its address has
had too many of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import trio

from adohub.errors import CredentialRefused, PeerError
from adohub.hub.failures import Failures
from adohub.hub.policy import ALL_RIGHTS
from adohub.metrics import Metrics
from adohub.model import Principal
from adohub.plugin.contracts import Authenticator, Credentials

ANONYMOUS = "anonymous"


class Authentication:
    """Turns credentials into a principal.

    `trusted`: without any authenticator everybody is anonymous with all rights, as on loopback.
    `clock` tells the time in POSIX seconds.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        failures: Failures,
        metrics: Metrics,
        *,
        allow_anonymous: bool,
        trusted: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._authenticators = authenticators
        self._failures = failures
        self._metrics = metrics
        self._allow_anonymous = allow_anonymous
        self.is_open = trusted and not authenticators
        """Whether whoever can connect by TCP may do everything."""

    async def identify(self, credentials: Credentials) -> Principal:
        """The principal who shows `credentials`. Raises PeerError UNAUTHORIZED.

        A credential that nobody accepts is refused even where anonymous peers are welcome. What an
        authenticator raises that is no PeerError passes through: it must not let anybody in.
        """
        try:
            return await self._identified(credentials)
        except PeerError as refusal:
            if refusal.code == "UNAUTHORIZED":
                self._metrics.auth_failures += 1
                reason = refusal.reason if isinstance(refusal, CredentialRefused) else refusal.message
                await self._hold(self._failures.note(credentials, reason))
            raise

    async def _hold(self, seconds: float) -> None:
        """Wait so long, or nearly as long as there is time: the refusal is to be heard."""
        left_s = trio.current_effective_deadline() - trio.current_time()
        await trio.sleep(min(seconds, 0.9 * max(0.0, left_s)))

    async def _identified(self, credentials: Credentials) -> Principal:
        if credentials.get("uid") == os.getuid():
            return Principal("owner", roles=[ALL_RIGHTS])
        for authenticator in self._authenticators:
            principal = await authenticator.authenticate(credentials)
            if principal is not None:
                self.check_expiry(principal)
                return principal
        if self.is_open and "uid" not in credentials:
            return Principal(ANONYMOUS, roles=[ALL_RIGHTS])
        if credentials.get("token"):
            raise CredentialRefused("nobody knows this credential")
        if self._allow_anonymous:
            return Principal(ANONYMOUS, roles=[ANONYMOUS])
        raise CredentialRefused("no credential was shown", "a credential is needed: send a token")

    def check_expiry(self, principal: Principal) -> None:
        """Raises CredentialRefused if its time is over."""
        if principal.expires_at is not None and not principal.expires_at > self._clock():  # nor is NaN
            ago_s = self._clock() - principal.expires_at
            raise CredentialRefused(f"expired {ago_s:.0f} s ago", "this credential has expired")
