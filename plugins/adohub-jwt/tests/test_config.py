"""What cannot be used is refused at boot by its key: a hub must not begin without its authenticator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adohub_jwt
import pytest
from adohub_jwt.config import JwtConfig
from joserfc import jwk

URL = "https://issuer.example/keys"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files that hold, or do not hold, keys, by name."""
    rsa = jwk.RSAKey.generate_key(2048)
    contents = {
        "secret": b"x" * 32 + b"\n",
        "short": b"hunter2",
        "public": rsa.as_pem(private=False),
        "private": rsa.as_pem(private=True),
        "garbage": b"hello",
        "jwk": b'{"keys": []}',
        "broken": b'{"keys": [',
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in [*contents, "missing"]}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"jwks_url": URL}, "tokens for other services would be let in"),
        ({"issuer": "x"}, "there is no key to check tokens with"),
        ({"audience": ["x"]}, "there is no key to check tokens with"),
        ({"jwks_url": URL, "audience": ["x"], "algorithms": ["none"]}, "got none"),
        ({"jwks_url": URL, "audience": ["x"], "algorithms": []}, "got none"),
        ({"jwks_url": "http://issuer.example/keys", "audience": ["x"]}, "expected https"),
        ({"jwks_url": "ftp://issuer.example", "audience": ["x"]}, "expected an address"),
        ({"jwks_url": URL, "key_file": "public", "audience": ["x"]}, "only one of"),
        ({"secret_file": "short", "audience": ["x"]}, "at least 32 bytes"),
        ({"secret_file": "missing", "audience": ["x"]}, "cannot be read: No such file"),
        ({"key_file": "missing", "audience": ["x"]}, "cannot be read: No such file"),
        ({"key_file": "private", "audience": ["x"]}, "this is a private key"),
        ({"key_file": "garbage", "audience": ["x"]}, "expected a public key in PEM"),
        ({"key_file": "jwk", "audience": ["x"]}, "no public key for signatures"),
        ({"key_file": "broken", "audience": ["x"]}, "no JSON"),
        ({"jwks_url": URL, "audience": ["x"], "leeway_s": 301}, "leeway_s"),
        ({"jwks_url": URL, "audience": ["x"], "algorithms": ["HS256"]}, "none of these goes with"),
        ({"secret_file": "secret", "audience": ["x"], "algorithms": ["RS256"]}, "none of these goes with"),
        ({"jwks_url": URL, "audience": ["x"], "jwks_stale_s": 60}, "at least jwks_max_age_s"),
        ({"jwks_url": "https://a:b@issuer.example/", "audience": ["x"]}, "no user or password"),
    ],
)
def test_what_is_wrong_is_said(settings: dict[str, Any], words: str, files: dict[str, str]) -> None:
    placed: dict[str, Any] = {
        name: files[value] if name.endswith("_file") else value for name, value in settings.items()
    }
    with pytest.raises(ValueError, match=words) as wrong:
        JwtConfig(**placed)
    assert "hunter2" not in str(wrong.value)


def test_without_a_key_it_lets_nobody_in_and_asks_for_nothing() -> None:
    assert list(adohub_jwt.adohub_authenticators(config=JwtConfig())) == []
    assert list(adohub_jwt.adohub_sources(config=JwtConfig())) == []


def test_with_keys_from_a_url_they_are_fetched_beside() -> None:
    config = JwtConfig(jwks_url=URL, audience=["x"])
    assert [one.name for one in adohub_jwt.adohub_authenticators(config=config)] == ["jwt"]
    assert [one.name for one in adohub_jwt.adohub_sources(config=config)] == ["jwks"]


def test_with_keys_from_a_file_nothing_runs_beside(files: dict[str, str]) -> None:
    config = JwtConfig(key_file=files["public"], audience=["x"])
    assert [one.name for one in adohub_jwt.adohub_authenticators(config=config)] == ["jwt"]
    assert list(adohub_jwt.adohub_sources(config=config)) == []
