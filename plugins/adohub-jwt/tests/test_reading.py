"""Only what is meant for checking signatures, and is strong enough for it, becomes a key."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from adohub_jwt.reading import Key, fits, read_jwks, read_key_file, read_secret_file
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
with warnings.catch_warnings(action="ignore"):
    WEAK = jwk.RSAKey.generate_key(1024, {"kid": "weak"})
EC = {name: jwk.ECKey.generate_key(name) for name in ("P-256", "P-384", "P-521", "secp256k1")}
OKP = {name: jwk.OKPKey.generate_key(name) for name in ("Ed25519", "Ed448", "X25519")}
SECRET = jwk.OctKey.generate_key(256)


def public(key: Key, **changed: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **changed}


def read(*listed: object) -> list[str | None]:
    """The names of what is read of a set."""
    return [key.kid for key in read_jwks(json.dumps({"keys": listed}).encode())]


PASSED_OVER: Mapping[str, object] = {
    "of an unknown kind": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
    "for encryption": public(RSA, use="enc"),
    "for wrapping": public(RSA, key_ops=["wrapKey"]),
    "a secret": SECRET.as_dict(),
    "too weak": public(WEAK),
    "without its parts": {"kty": "EC"},
    "not on the curve": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "with odd parts": {"kty": "EC", "crv": {}, "x": 5, "y": []},
    "with an odd name": public(RSA, kid=5),
    "of an odd kind": {"kty": []},
    "a number": 5,
    "nothing": None,
}


@pytest.mark.parametrize("odd", PASSED_OVER.values(), ids=PASSED_OVER.keys())
def test_of_a_set_what_is_not_understood_or_too_weak_or_for_something_else_is_passed_over(
    odd: object,
) -> None:
    assert read(odd, public(RSA)) == ["rsa"]
    with pytest.raises(ValueError, match="no public key for signatures"):
        read(odd)


@pytest.mark.parametrize("said", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "RS256"}, {"own": 1}])
def test_what_is_for_signatures_is_read(said: dict[str, Any]) -> None:
    assert read(public(RSA, **said)) == ["rsa"]


@pytest.mark.parametrize("key", [RSA, EC["P-256"], OKP["Ed25519"]], ids=["RSA", "EC", "OKP"])
def test_a_private_key_is_refused_wherever_it_is(key: Key, tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text in (pem(key, private=True), json.dumps({"keys": [key.as_dict(private=True)]}).encode()):
        file.write_bytes(text)
        with pytest.raises(ValueError, match="private key") as refused:
            read_key_file(str(file))
        assert str(file) in str(refused.value)


@pytest.mark.parametrize("key", [RSA, EC["P-384"], OKP["Ed25519"]], ids=["RSA", "EC", "OKP"])
def test_a_file_holds_pem_or_a_jwk_or_a_set(key: Key, tmp_path: Path) -> None:
    file = tmp_path / "key"
    one, several = json.dumps(public(key)).encode(), json.dumps({"keys": [public(key)]}).encode()
    for text in (pem(key, private=False), one, several):
        file.write_bytes(text)
        [found] = read_key_file(str(file))
        assert found.thumbprint() == key.thumbprint()


def pem(key: Key, *, private: bool) -> bytes:
    assert not isinstance(key, jwk.OctKey)
    return key.as_pem(private=private)


def test_a_weak_key_in_pem_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(WEAK.as_pem(private=False))
    with pytest.raises(ValueError, match="at least 2048 bits"):
        read_key_file(str(file))


def test_a_secret_is_the_line_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"0123456789abcdef" * 2 + b"\r\n")
    [secret] = read_secret_file(str(file))
    assert secret.raw_value == b"0123456789abcdef" * 2
    file.write_bytes(b"0123456789abcde" * 2 + b"\r\n")
    with pytest.raises(ValueError, match="at least 32 bytes"):
        read_secret_file(str(file))


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(RSA.as_pem(private=False))
    with pytest.raises(ValueError, match="must not be used"):
        read_secret_file(str(file))


KINDS: Mapping[str, tuple[Key, set[str]]] = {
    "RSA": (RSA, {"RS256", "RS512", "PS256"}),
    "P-256": (EC["P-256"], {"ES256"}),
    "P-384": (EC["P-384"], {"ES384"}),
    "P-521": (EC["P-521"], {"ES512"}),
    "secp256k1": (EC["secp256k1"], set()),
    "Ed25519": (OKP["Ed25519"], {"EdDSA", "Ed25519"}),
    "Ed448": (OKP["Ed448"], {"EdDSA"}),
    "X25519": (OKP["X25519"], set()),
    "secret": (SECRET, {"HS256", "HS512"}),
    "RSA for one": (jwk.import_key(public(RSA, alg="PS256")), {"PS256"}),
}


@pytest.mark.parametrize(("key", "wanted"), KINDS.values(), ids=KINDS.keys())
def test_a_key_goes_with_the_algorithms_of_its_kind_and_no_others(key: Key, wanted: set[str]) -> None:
    everything = {algorithm for _, algorithms in KINDS.values() for algorithm in algorithms}
    assert {algorithm for algorithm in everything if fits(key, algorithm)} == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "keys", "alg"]), inner
        )
    ),
    max_leaves=10,
)


@given(JSON.map(json.dumps).map(str.encode) | st.binary(max_size=50))
def test_whatever_an_issuer_sends_that_is_no_key_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_jwks(text)
