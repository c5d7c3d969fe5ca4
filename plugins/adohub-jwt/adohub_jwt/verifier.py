"""A token becomes a principal, or is refused with a reason that is for the log alone.

Law: nothing that a token says of itself is believed before its signature is checked, except which key to try
and that it is another issuer's.
"""

from __future__ import annotations

import binascii
import json
import re
import time
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
)

from adohub import CredentialRefused, Credentials, Principal
from adohub_jwt.claims import principal
from adohub_jwt.config import ANY, JwtConfig
from adohub_jwt.keys import Keys
from adohub_jwt.memory import Memory
from adohub_jwt.reading import Key, fits

MOST_REMEMBERED, REMEMBERED_S = 10_000, 60.0
"""How many good tokens are remembered, so that each is checked once in so many seconds."""

MOST_REFUSED, REFUSED_S = 1000, 5.0
"""How many bad ones: a crowd that shows one again and again costs little."""

MOST_TRIED = 5
"""How many keys are tried on a token that names none."""

TYPES = ("jwt", "at+jwt")
"""Of what type a token may be, if it says so (RFC 8725, section 3.11): no logout token, for one, lets in."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class Verifier:
    """`clock` tells the time in POSIX seconds."""

    def __init__(self, config: JwtConfig, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._keys = keys
        self._clock = clock
        self._version = keys.version()
        self._good = Memory[Principal](MOST_REMEMBERED, REMEMBERED_S)
        self._bad = Memory[CredentialRefused](MOST_REFUSED, REFUSED_S)
        self._claims_rules = _rules(config)
        self.checked = 0
        """How many signatures have been checked."""

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Who shows a good token; None for what is no JWT, or another issuer's.

        Raises CredentialRefused; PeerError SERVICE_UNAVAILABLE while there are no keys.
        """
        token = credentials.get("token")
        if not isinstance(token, str) or _SHAPE.fullmatch(token) is None:
            return None
        if len(token) > self._config.max_token_bytes:
            raise CredentialRefused(f"the token is longer than {self._config.max_token_bytes} bytes")
        known = self._remembered(token)
        if known is not None:
            return known
        header = _part(token, 0)
        if header is None or not isinstance(header.get("alg"), str) or self._is_anothers(token):
            return None
        return await self._judged(token, header)

    def _remembered(self, token: str) -> Principal | None:
        """Who showed `token` before. Raises CredentialRefused if it was refused."""
        version, now = self._keys.version(), self._clock()
        if version != self._version:
            self._version = version
            self._good.forget()
            self._bad.forget()
        refused = self._bad.get(token, now)
        if refused is not None:
            raise CredentialRefused(refused.reason, refused.message)
        good = self._good.get(token, now)
        if good is None or (good.expires_at is not None and good.expires_at <= now):
            return None
        return good

    def _is_anothers(self, token: str) -> bool:
        issuer = self._config.issuer
        said = _part(token, 1)
        return bool(issuer) and said is not None and said.get("iss", issuer) != issuer

    async def _judged(self, token: str, header: Mapping[str, Any]) -> Principal:
        keys = await self._suitable(header)
        try:
            claims = self._opened(token, header["alg"], keys)
            self._check(claims)
            found = principal(claims, self._config)
        except CredentialRefused as refused:
            self._bad.put(token, refused, self._clock())
            raise
        self._good.put(token, found, self._clock())
        return found

    async def _suitable(self, header: Mapping[str, Any]) -> list[Key]:
        """The keys that a token with this header can be signed with. Raises CredentialRefused."""
        algorithm, kid, kind = header["alg"], header.get("kid"), header.get("typ", "JWT")
        if algorithm not in self._config.accepted:
            raise CredentialRefused("it is signed with an algorithm that is not accepted")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
            raise CredentialRefused("it is a token for something else, by its typ")
        if kid is not None and not isinstance(kid, str):
            raise CredentialRefused("its kid is no text")
        keys = [key for key in await self._keys.find(kid) if fits(key, algorithm)]
        if not keys:
            raise CredentialRefused("it is signed with a key that is not known")
        return keys[:MOST_TRIED]

    def _opened(self, token: str, algorithm: str, keys: list[Key]) -> Mapping[str, Any]:
        """The claims of `token`, which one of `keys` has signed. Raises CredentialRefused."""
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        registry.max_header_length = self._config.max_token_bytes
        for key in keys:
            self.checked += 1
            try:
                with warnings.catch_warnings(action="ignore"):  # of names that are going out of use
                    return jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
            except BadSignatureError:
                continue
            except (JoseError, ValueError, TypeError, RecursionError) as error:
                raise CredentialRefused(f"it cannot be read ({type(error).__name__})") from None
        raise CredentialRefused("its signature is not good")

    def _check(self, claims: Mapping[str, Any]) -> None:
        """Raises CredentialRefused unless `claims` are good now, and for us (RFC 7519, section 4.1)."""
        now = self._clock()
        registry = jwt.JWTClaimsRegistry(now=int(now), leeway=self._config.leeway_s, **self._claims_rules)
        try:
            registry.validate(dict(claims))
        except ExpiredTokenError as error:
            ago_s = now - max(claims["exp"], 0)  # which may be no number that a time can be
            raise CredentialRefused(
                f"it has expired {ago_s:.0f} s ago", "this credential has expired"
            ) from error
        except MissingClaimError as error:
            raise CredentialRefused(f"it has no claim {error.claim}") from error
        except InvalidClaimError as error:
            raise CredentialRefused(f"its claim {error.claim} is not accepted") from error
        except (JoseError, TypeError, ValueError, OverflowError) as error:
            raise CredentialRefused(f"its claims are not accepted ({type(error).__name__})") from error


def _rules(config: JwtConfig) -> dict[str, Any]:
    """What claims there must be, and of which value."""
    rules: dict[str, Any] = {}
    if config.require_exp:
        rules["exp"] = {"essential": True}
    if config.issuer:
        rules["iss"] = {"essential": True, "value": config.issuer}
    if ANY not in config.audience:
        rules["aud"] = {"essential": True, "values": list(config.audience)}
    return rules


def _part(token: str, number: int) -> Mapping[str, Any] | None:
    """What one part of `token` says, unchecked; None if it is no object."""
    text = token.split(".")[number]
    try:
        value = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
