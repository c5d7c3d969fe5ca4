"""A configuration can be shown without its secrets, and kept with them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from adohub.config import Auth, Config, Redis, Storage, Token, dump, load
from adohub.config.dumping import MASK
from tests.config.strategies import CONFIGS

DIGEST = "0123456789abcdef" * 4


@given(CONFIGS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_what_is_dumped_loads_again(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "dumped.toml"
    path.write_text(dump(config, mask=False), encoding="utf-8", newline="")
    assert load(path, {}) == config


def test_the_defaults_load_again_even_masked(tmp_path: Path) -> None:
    path = tmp_path / "dumped.toml"
    path.write_text(dump(Config()), encoding="utf-8")
    assert load(path, {}) == Config()


def test_the_hub_s_own_secrets_are_masked() -> None:
    config = Config(
        storage=Storage(redis=Redis(url="rediss://me:hunter2@cache:6379/0")),
        auth=Auth(tokens=(Token("ci", DIGEST),)),
    )
    shown = tomllib.loads(dump(config))
    assert shown["storage"]["redis"]["url"] == f"rediss://me:{MASK}@cache:6379/0"
    assert shown["auth"]["tokens"] == [{"name": "ci", "sha256": MASK, "roles": []}]


def test_what_looks_secret_in_a_plugin_s_table_is_masked() -> None:
    table = {
        "issuer": "me",
        "api_key": "hunter2",
        "clientSecret": "hunter2",
        "token": "",
        "pin_token": 1234,
        "use_tokens": True,
        "passwords": {"a": "hunter2", "b": ["hunter2"]},
        "urls": ["https://a:hunter2@b/c", "https://b/c?x=1&access_token=hunter2&y=2"],
    }
    masked = {
        "issuer": "me",
        "api_key": MASK,
        "clientSecret": MASK,
        "token": "",
        "pin_token": MASK,
        "use_tokens": True,
        "passwords": {"a": MASK, "b": [MASK]},
        "urls": [f"https://a:{MASK}@b/c", f"https://b/c?x=1&access_token={MASK}&y=2"],
    }
    shown = tomllib.loads(dump(Config(plugin={"tokens": table}, storage=Storage(engines={"keys": table}))))
    assert shown["plugin"] == {"tokens": masked}
    assert shown["storage"]["keys"] == masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:p@ss/w:rd@host:1/0", f"redis://:{MASK}@host:1/0"),
        ("redis://a/0?password=hunter2", f"redis://a/0?password={MASK}"),
        ("hunter2", MASK),
    ],
)
def test_of_a_url_only_the_password_is_masked(url: str, masked: str) -> None:
    shown = tomllib.loads(dump(Config(storage=Storage(redis=Redis(url=url)))))
    assert shown["storage"]["redis"]["url"] == masked
