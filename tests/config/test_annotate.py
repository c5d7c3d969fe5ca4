"""The default file says everything, and changes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adohub.config import Config, annotated, load, write_default
from adohub.errors import ConfigError
from tests.config.strategies import leaf_keys

SHIPPED = Path(__file__).parents[2] / "config" / "adohub.toml"


def test_the_shipped_file_is_the_annotated_one() -> None:
    assert SHIPPED.read_bytes() == annotated().encode()


def test_loading_it_gives_the_defaults() -> None:
    assert load(SHIPPED, {}) == Config()


def test_it_has_every_key_with_a_comment() -> None:
    lines = annotated().splitlines()
    for path, value in leaf_keys(Config()):
        if path not in (("auth", "tokens"), ("auth", "peers")):
            (at,) = [index for index, line in enumerate(lines) if line.startswith(f"{path[-1]} = ")]
            assert lines[at - 1].startswith("# "), path
            assert value is not None


def test_its_examples_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "examples.toml"
    path.write_text(re.sub(r"^#(?=[^ \n])", "", annotated(), flags=re.MULTILINE), encoding="utf-8")
    config = load(path, {})
    assert [token.name for token in config.auth.tokens] == ["ci"]
    assert [peer.user for peer in config.auth.peers] == ["ado"]
    assert list(config.auth.roles) == ["publisher"]
    assert config.plugin == {"NAME": {"key": "value"}}
    assert config.storage.engines == {"NAME": {"key": "value"}}
    assert config.channels["deploy.onRelease"].topics == ("deploy.release",)


def test_an_existing_file_is_overwritten_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "adohub.toml"
    write_default(path)
    assert path.read_bytes() == annotated().encode()
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        write_default(path)
    assert str(caught.value) == f"{path}: exists already; --force overwrites it"
    assert path.read_text(encoding="utf-8") == "mine"
    write_default(path, force=True)
    assert path.read_bytes() == annotated().encode()


def test_a_file_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_default(tmp_path / "none" / "adohub.toml")
    assert str(caught.value).endswith("adohub.toml: cannot be written: No such file or directory")
