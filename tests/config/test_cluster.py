"""What is shipped for several hubs is valid, and is what it says it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adohub.config import Config, load

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "cluster.toml"
PAGE = ROOT / "docs" / "cluster.md"


def loaded(text: str, folder: Path) -> Config:
    """`text` as a configuration file: strictly, so every key in it exists."""
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


def test_it_makes_hubs_of_one_port_one() -> None:
    config = load(SHIPPED, {})
    assert config.server.reuse_port
    assert config.storage.engine == "redis"
    assert not config.auth.allow_anonymous


def test_as_it_stands_it_lets_nobody_in_from_elsewhere() -> None:
    config = load(SHIPPED, {})
    assert config.server.host == "127.0.0.1"
    assert config.auth.tokens == ()


def test_its_examples_are_valid(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[^ \n])", "", SHIPPED.read_text(encoding="utf-8"), flags=re.MULTILINE)
    auth = loaded(text, tmp_path).auth
    named = {role for token in auth.tokens for role in token.roles}
    assert named
    assert named <= set(auth.roles)
    assert auth.roles["viewer"].workers == ("list",)


def test_what_it_sets_and_leaves_at_its_default_is_the_default() -> None:
    config, default = load(SHIPPED, {}), Config()
    assert config.storage.redis == default.storage.redis
    assert config.presence == default.presence
    assert config.storage.max_events == default.storage.max_events
    assert config.server.drain_timeout_ms == default.server.drain_timeout_ms


@pytest.mark.parametrize(
    "block", re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
)
def test_the_page_s_configuration_is_valid(block: str, tmp_path: Path) -> None:
    assert loaded(block, tmp_path) != Config()
