"""Lets holders of JSON Web Tokens in.

config      what an operator says: whose tokens, for whom, by which keys, and what their claims mean
verifier    a token becomes a principal, or is refused with a reason
memory      what was found of a token, so that it is checked once
claims      what the claims of a good token say: a name, roles, until when
keys        the keys that tokens may be signed with: given once, from a file, or from a URL
reading     keys as they are written down: a secret, PEM, JWK
fetching    gets a set of keys from a URL
"""

from __future__ import annotations

from adohub import Authenticator, Source, hookimpl
from adohub_jwt.config import JwtConfig
from adohub_jwt.keys import FetchedKeys
from adohub_jwt.verifier import Verifier


@hookimpl
def adohub_config_type() -> type[JwtConfig]:
    return JwtConfig


@hookimpl
def adohub_authenticators(config: JwtConfig) -> list[Authenticator]:
    if not config.is_used:
        return []
    return [Authenticator("jwt", Verifier(config, config.keys).authenticate)]


@hookimpl
def adohub_sources(config: JwtConfig) -> list[Source]:
    if config.is_used and isinstance(config.keys, FetchedKeys):
        return [Source("jwks", config.keys.run)]
    return []
