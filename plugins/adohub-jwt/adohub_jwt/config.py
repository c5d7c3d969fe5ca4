"""`[plugin.jwt]`: whose tokens are let in, and what they say.

Law: what cannot be used fails at boot, with its key: a hub that began without its authenticator would be
open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen, validators

from adohub_jwt.keys import FetchedKeys, FileKeys, FixedKeys, Keys
from adohub_jwt.reading import read_key_file, read_secret_file

ANY = "*"
"""As `audience`: tokens for whomever are let in."""

ASYMMETRIC = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
SYMMETRIC = ("HS256", "HS384", "HS512")


def _texts(values: Iterable[str]) -> Sequence[str]:
    return tuple(values)


_POSITIVE = validators.gt(0)
_NOT_NEGATIVE = validators.ge(0)
_FILLED: Any = validators.deep_iterable(validators.min_len(1))


@frozen(slots=False)
class JwtConfig:
    """One of `secret_file`, `key_file` and `jwks_url` says where the keys are; without any nobody is let in.

    `issuer`: whose tokens; empty for anybody's that the keys have signed. `audience`: for whom, any of these;
    ["*"] for whomever. `algorithms`: with what, of those that fit the kind of key. `leeway_s`: by how much
    clocks may differ. `name_claim` and `roles_claim` say which claims are the principal's name and roles,
    dots leading into objects; `roles` turns what the latter holds into the hub's roles, else they are the
    same. `name_prefix` goes before every name. `default_roles` are everybody's. `require_exp`: whether a
    token must expire. Of a URL's keys, in seconds: `jwks_max_age_s` is when they are fetched again,
    `jwks_refetch_s` the least time between two fetches for a key that is not known, `jwks_stale_s` how long
    they are used though they cannot be fetched.
    """

    issuer: str = ""
    audience: Sequence[str] = field(default=(), converter=_texts, validator=_FILLED)
    algorithms: Sequence[str] = field(default=(*ASYMMETRIC, *SYMMETRIC), converter=_texts)
    leeway_s: int = field(default=10, validator=validators.and_(_NOT_NEGATIVE, validators.le(300)))
    secret_file: str = field(default="")
    key_file: str = field(default="")
    jwks_url: str = field(default="")
    jwks_max_age_s: int = field(default=3600, validator=_POSITIVE)
    jwks_refetch_s: int = field(default=10, validator=_POSITIVE)
    jwks_stale_s: int = field(default=86400)
    name_claim: str = field(default="sub", validator=validators.min_len(1))
    name_prefix: str = ""
    roles_claim: str = field(default="roles", validator=validators.min_len(1))
    roles: Mapping[str, Sequence[str]] = field(factory=dict)
    default_roles: Sequence[str] = field(default=(), converter=_texts, validator=_FILLED)
    require_exp: bool = True
    max_token_bytes: int = field(default=8192, validator=_POSITIVE)

    @audience.validator
    def _somebody_is_meant(self, _: Attribute[Sequence[str]], value: Sequence[str]) -> None:
        if self.is_used and not value:
            raise ValueError('required: else tokens for other services would be let in; ["*"] if they may')

    @algorithms.validator
    def _all_are_known(self, _: Attribute[Sequence[str]], value: Sequence[str]) -> None:
        unknown = [name for name in value if name not in (*ASYMMETRIC, *SYMMETRIC)]
        if unknown or not value:
            known = ", ".join((*ASYMMETRIC, *SYMMETRIC))
            raise ValueError(f"expected any of {known}, got {', '.join(unknown) or 'none'}")
        if self.is_used and not self.accepted:
            raise ValueError("none of these goes with this kind of key: HS with a secret, the others without")

    @secret_file.validator
    def _it_holds_a_secret(self, _: Attribute[str], value: str) -> None:
        if value:
            read_secret_file(value)

    @key_file.validator
    def _it_holds_keys(self, _: Attribute[str], value: str) -> None:
        if value:
            read_key_file(value)
        given = [name for name in (self.secret_file, self.key_file, self.jwks_url) if name]
        if len(given) > 1:
            raise ValueError("only one of secret_file, key_file and jwks_url can be given")
        if not given and (self.issuer or self.audience):
            raise ValueError(
                "required, or else secret_file or jwks_url: there is no key to check tokens with"
            )

    @jwks_url.validator
    def _it_is_safe(self, _: Attribute[str], value: str) -> None:
        if not value:
            return
        parts = urlsplit(value)
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError("expected an address such as https://issuer.example.org/jwks.json")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("expected https: whoever can change the keys on their way can make tokens")
        if parts.username is not None:
            raise ValueError("expected no user or password in it: the log names this address")

    @jwks_stale_s.validator
    def _it_outlasts_the_age(self, _: Attribute[int], value: int) -> None:
        if value < self.jwks_max_age_s:
            raise ValueError(
                "expected at least jwks_max_age_s: else good keys lapse before they are fetched again"
            )

    @property
    def is_used(self) -> bool:
        """Whether there are keys, and so anybody to let in."""
        return bool(self.secret_file or self.key_file or self.jwks_url)

    @cached_property
    def keys(self) -> Keys:
        """Where keys are looked up; the same for all who ask."""
        if self.secret_file:
            return FixedKeys(read_secret_file(self.secret_file))
        if self.key_file:
            return FileKeys(self.key_file)
        return FetchedKeys(
            self.jwks_url,
            max_age_s=self.jwks_max_age_s,
            refetch_s=self.jwks_refetch_s,
            stale_s=self.jwks_stale_s,
        )

    @property
    def accepted(self) -> Sequence[str]:
        """The algorithms of `algorithms` that fit the kind of key: a public key is nobody's secret."""
        fitting = SYMMETRIC if self.secret_file else ASYMMETRIC
        return [name for name in self.algorithms if name in fitting]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
