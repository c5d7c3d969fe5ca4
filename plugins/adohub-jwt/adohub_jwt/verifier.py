"""A token becomes a principal, or is refused with a reason that is for the log alone.

Law: nothing that a token says of itself is believed before its signature is checked, except which key to try.
"""

from __future__ import annotations

import binascii
import json
import re
import time
import warnings
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
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
from adohub_jwt.keys import Key, Keys

MOST_REMEMBERED = 10_000
"""How many tokens whose signature was good are remembered, so that each is checked once."""

REMEMBERED_S = 60.0
"""For how long, in seconds."""

MOST_TRIED = 10
"""How many keys are tried on a token that names none."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class Verifier:
    """`clock` tells the time in POSIX seconds."""

    def __init__(self, config: JwtConfig, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._keys = keys
        self._clock = clock
        self._version = keys.version
        self._remembered: OrderedDict[bytes, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self.checked = 0
        """How many signatures have been checked."""

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Who shows a good token; None for what is no JWT, or another issuer's.

        Raises CredentialRefused; PeerError SERVICE_UNAVAILABLE while there are no keys.
        """
        token = credentials.get("token")
        if not isinstance(token, str) or _SHAPE.fullmatch(token) is None:
            return None
        header, said = _part(token, 0), _part(token, 1)
        if header is None or not isinstance(header.get("alg"), str):
            return None
        if (
            self._config.issuer
            and said is not None
            and said.get("iss", self._config.issuer) != self._config.issuer
        ):
            return None
        if len(token) > self._config.max_token_bytes:
            raise CredentialRefused(f"the token is longer than {self._config.max_token_bytes} bytes")
        claims = await self._believed(token, header)
        self._check(claims)
        return principal(claims, self._config)

    async def _believed(self, token: str, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims of `token`, whose signature is good."""
        if self._version != self._keys.version:
            self._version = self._keys.version
            self._remembered.clear()
        digest, now = sha256(token.encode()).digest(), self._clock()
        known = self._remembered.get(digest)
        if known is not None and now - known[0] < REMEMBERED_S:
            return known[1]
        claims = await self._verified(token, header)
        self._remembered[digest] = now, claims
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return claims

    async def _verified(self, token: str, header: Mapping[str, Any]) -> Mapping[str, Any]:
        algorithm, kid = header["alg"], header.get("kid")
        if algorithm not in self._config.accepted:
            raise CredentialRefused("it is signed with an algorithm that is not accepted")
        if kid is not None and not isinstance(kid, str):
            raise CredentialRefused("its kid is no text")
        keys = await self._keys.find(kid)
        if not keys:
            raise CredentialRefused("it is signed with a key that is not known")
        for key in keys[:MOST_TRIED]:
            claims = self._opened(token, key, algorithm)
            if claims is not None:
                return claims
        raise CredentialRefused("its signature is not good")

    def _opened(self, token: str, key: Key, algorithm: str) -> Mapping[str, Any] | None:
        """The claims of `token`, None if `key` has not signed it, or cannot have."""
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        registry.max_header_length = self._config.max_token_bytes
        self.checked += 1
        try:
            with warnings.catch_warnings(action="ignore"):  # of names that are going out of use
                return jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
        except BadSignatureError:
            return None
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            if type(error).__name__ in (
                "InvalidKeyTypeError",
                "UnsupportedKeyAlgorithmError",
                "InvalidKeyCurveError",
            ):
                return None
            raise CredentialRefused(f"it cannot be read ({type(error).__name__})") from None

    def _check(self, claims: Mapping[str, Any]) -> None:
        """Raises CredentialRefused unless `claims` are good now, and for us (RFC 7519, section 4.1)."""
        config, now = self._config, self._clock()
        options: dict[str, Any] = {}
        if config.require_exp:
            options["exp"] = {"essential": True}
        if config.issuer:
            options["iss"] = {"essential": True, "value": config.issuer}
        if ANY not in config.audience:
            options["aud"] = {"essential": True, "values": list(config.audience)}
        registry = jwt.JWTClaimsRegistry(now=int(now), leeway=config.leeway_s, **options)
        try:
            registry.validate(dict(claims))
        except ExpiredTokenError as error:
            ago_s = now - claims["exp"]
            raise CredentialRefused(
                f"it has expired {ago_s:.0f} s ago", "this credential has expired"
            ) from error
        except MissingClaimError as error:
            raise CredentialRefused(f"it has no claim {error.claim}") from error
        except InvalidClaimError as error:
            raise CredentialRefused(f"its claim {error.claim} is not accepted") from error
        except (JoseError, TypeError, ValueError, OverflowError) as error:
            raise CredentialRefused(f"its claims are not accepted ({type(error).__name__})") from error


def _part(token: str, number: int) -> Mapping[str, Any] | None:
    """What one part of `token` says, unchecked; None if it is no object."""
    text = token.split(".")[number]
    try:
        value = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
