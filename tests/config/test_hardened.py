"""What is shipped for a network is valid, lets nobody in as it stands, and is stricter than the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adohub.checks import check_exposure
from adohub.config import Config, load
from adohub.errors import ConfigError
from adohub.plugin.loader import load as load_plugins

SHIPPED = Path(__file__).parents[2] / "config" / "hardened.toml"


def test_as_it_stands_no_hub_starts_with_it() -> None:
    config = load(SHIPPED, {})
    with pytest.raises(ConfigError, match="nothing tells who connects"):
        check_exposure(config, load_plugins(config))


def test_with_its_examples_every_token_has_a_role_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(re.sub(r"^#(?=[^ \n])", "", SHIPPED.read_text(), flags=re.MULTILINE))
    config = load(path, {})
    check_exposure(config, load_plugins(config))
    assert config.auth.tokens
    assert {role for token in config.auth.tokens for role in token.roles} <= config.auth.roles.keys()
    assert not any(role.admin for role in config.auth.roles.values())


def test_it_is_nowhere_looser_than_the_defaults() -> None:
    ours, theirs = load(SHIPPED, {}), Config()
    assert ours.limits.max_connections_per_address > 0
    assert ours.limits.max_json_depth < theirs.limits.max_json_depth
    assert ours.limits.max_frame_fragments < theirs.limits.max_frame_fragments
    assert ours.server.handshake_timeout_ms < theirs.server.handshake_timeout_ms
    assert ours.auth.max_failures_per_minute < theirs.auth.max_failures_per_minute
    assert "*" not in ours.server.allowed_origins
