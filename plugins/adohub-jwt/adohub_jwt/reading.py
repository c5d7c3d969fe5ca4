"""Keys as operators and issuers write them down: a secret, PEM, a JWK or a set of them (RFC 7517).

Law: only what is meant for checking signatures, and is strong enough for it, becomes a key.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

Key = jwk.OctKey | jwk.RSAKey | jwk.ECKey | jwk.OKPKey

LEAST_SECRET_BYTES = 32
LEAST_RSA_BITS = 2048
"""RFC 7518, sections 3.3 and 3.5."""

MOST_KEYS = 100

_EDWARDS = ("Ed25519", "Ed448")
_CURVES = {
    "ES256": ("P-256",),
    "ES384": ("P-384",),
    "ES512": ("P-521",),
    "EdDSA": _EDWARDS,
    "Ed25519": ("Ed25519",),
}


class UnusableKey(ValueError):
    """It is a key, but not one to check tokens with."""


def fits(key: Key, algorithm: str) -> bool:
    """Whether `key` is one for `algorithm`, by its kind, its curve and what it says itself."""
    if key.get("alg") not in (None, algorithm):
        return False
    if algorithm.startswith("HS"):
        return isinstance(key, jwk.OctKey)
    if algorithm.startswith(("RS", "PS")):
        return isinstance(key, jwk.RSAKey)
    return isinstance(key, jwk.ECKey | jwk.OKPKey) and key.curve_name in _CURVES[algorithm]


def read_secret_file(path: str) -> Sequence[Key]:
    """The secret in a file, less the end of its line. Raises ValueError."""
    secret = _read(path).rstrip(b"\r\n")
    if len(secret) < LEAST_SECRET_BYTES:
        raise ValueError(
            f"{path}: a secret has at least {LEAST_SECRET_BYTES} bytes; openssl rand -hex 32 makes one"
        )
    return [jwk.OctKey.import_key(secret)]


def read_key_file(path: str) -> Sequence[Key]:
    """The public keys in a file: one in PEM, a JWK or a set of them. Raises ValueError."""
    text = _read(path)
    try:
        return read_jwks(text) if text.lstrip().startswith(b"{") else [_pem(text)]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_jwks(text: bytes) -> Sequence[Key]:
    """The public keys for signatures in a JWK or a set of them. Raises ValueError.

    Of a set those are passed over that are not understood (RFC 7517, section 5), are for something else, or
    are too weak.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is no JSON") from error
    if not isinstance(value, dict):
        raise ValueError("expected a JWK, or an object with keys")
    listed = value.get("keys", [value])
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError(f"expected at most {MOST_KEYS} keys")
    keys = [key for each in listed if (key := _jwk(each)) is not None]
    if not keys:
        raise ValueError("there is no public key for signatures in it")
    return keys


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def _jwk(value: Any) -> Key | None:
    """The key that `value` is; None unless it is one for signatures. Raises UnusableKey if it is private."""
    if not isinstance(value, dict) or value.get("kty") == "oct" or value.get("use", "sig") != "sig":
        return None
    operations = value.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of its strength, which is looked at here
            key = jwk.import_key(value)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if key.is_private:
        raise UnusableKey(_PRIVATE)
    return None if _is_weak(key) else key


def _pem(text: bytes) -> Key:
    for kind in (jwk.RSAKey, jwk.ECKey, jwk.OKPKey):
        try:
            with warnings.catch_warnings(action="ignore"):
                key = kind.import_key(text)
        except (JoseError, TypeError, ValueError, AttributeError):
            continue
        if key.is_private:
            raise UnusableKey(_PRIVATE)
        if _is_weak(key):
            raise UnusableKey(f"an RSA key has at least {LEAST_RSA_BITS} bits")
        return key
    raise ValueError("expected a public key in PEM, or JSON")


_PRIVATE = "this is a private key: give the public one, and keep this where tokens are made"


def _is_weak(key: Key) -> bool:
    return isinstance(key, jwk.RSAKey) and key.raw_value.key_size < LEAST_RSA_BITS
