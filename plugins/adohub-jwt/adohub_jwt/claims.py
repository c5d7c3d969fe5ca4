"""What the claims of a good token say: a name, roles, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adohub import CredentialRefused, Principal
from adohub_jwt.config import JwtConfig

MOST_NAME_CHARS = 200
MOST_ROLES = 100
LATEST = 253402300799
"""The end of the year 9999, in POSIX seconds."""


def principal(claims: Mapping[str, Any], config: JwtConfig) -> Principal:
    """Who these claims are of. Raises CredentialRefused if they do not say."""
    name = _at(claims, config.name_claim)
    if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME_CHARS:
        raise CredentialRefused(f"the claim {config.name_claim} is no name")
    expires_at = claims.get("exp")
    if expires_at is not None and expires_at > LATEST:
        raise CredentialRefused("its claim exp is beyond all measure")
    return Principal(
        config.name_prefix + name,
        roles=[*config.default_roles, *_roles(_at(claims, config.roles_claim), config)],
        expires_at=None if expires_at is None else expires_at + config.leeway_s,
    )


def _roles(value: Any, config: JwtConfig) -> Sequence[str]:
    """The hub's roles that a claim stands for: a list, or a text with blanks between. `*` is none of them."""
    said = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    texts = [each for each in said[:MOST_ROLES] if isinstance(each, str)]
    if config.roles:
        return [role for each in texts for role in config.roles.get(each, ())]
    return [each for each in texts if each != "*"]


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this very name, else what the dots in `path` lead to."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
