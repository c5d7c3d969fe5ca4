"""`adohub plugins list`, and the commands that plugins bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.processes import adohub

GOOD = """
import click
from adohub import Topic, hookimpl

@hookimpl
def adohub_topics(config):
    return [Topic("good.news")]

@hookimpl
def adohub_commands(cli):
    @cli.command(name="greet")
    def greet():
        "Say hello."
        click.echo("hello")

    @cli.command(name="status")
    def status():
        click.echo("not yours to replace")
"""
IMPORT_FAILS = "import no_such_module_anywhere\n"
MISSPELT = """
from adohub import hookimpl

@hookimpl
def adohub_topic(config):
    return []
"""
COMMANDS_FAIL = """
from adohub import hookimpl

@hookimpl
def adohub_commands(cli):
    raise RuntimeError("no luck today")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an adohub.toml that names `plugins` in it."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "adohub.toml").write_text(
        f'[plugins]\ndirectories = ["{tmp_path}/plugins"]\ndisabled = ["pages"]\n'
    )
    return tmp_path


def put(folder: Path, **plugins: str) -> None:
    for name, text in plugins.items():
        (folder / "plugins" / f"{name}.py").write_text(text)


async def test_json_names_every_plugin_in_the_shape_of_the_contract(folder: Path) -> None:
    put(folder, good=GOOD, unlucky=IMPORT_FAILS, misspelt=MISSPELT)
    ended = await adohub("plugins", "list", "--json", cwd=folder)
    assert (ended.status, ended.err) == (0, "")
    listed = {plugin["name"]: plugin for plugin in json.loads(ended.out)}
    keys = ["name", "origin", "version", "status", "error", "hooks"]
    assert all(list(plugin) == keys for plugin in listed.values())
    assert listed["tasks"]["status"] == "loaded"
    assert listed["pages"]["status"] == "disabled"
    assert listed["good"] == {
        "name": "good",
        "origin": str(folder / "plugins" / "good.py"),
        "version": "",
        "status": "loaded",
        "error": "",
        "hooks": listed["good"]["hooks"],
    }
    assert set(listed["good"]["hooks"]) == {"adohub_topics", "adohub_commands"}
    assert listed["unlucky"]["status"] == listed["misspelt"]["status"] == "failed"
    assert "no_such_module_anywhere" in listed["unlucky"]["error"]
    assert "adohub_topic " in listed["misspelt"]["error"]
    assert 'did you mean "adohub_topics"?' in listed["misspelt"]["error"]


async def test_people_get_lines_with_what_is_wrong(folder: Path) -> None:
    put(folder, unlucky=IMPORT_FAILS)
    ended = await adohub("plugins", "list", cwd=folder)
    assert ended.status == 0
    [at] = [number for number, line in enumerate(ended.lines) if line.startswith("failed    unlucky ")]
    assert "no_such_module_anywhere" in ended.lines[at + 1]


async def test_under_strict_the_list_still_tells_of_all(folder: Path) -> None:
    put(folder, unlucky=IMPORT_FAILS, misspelt=MISSPELT)
    env = {"ADOHUB__PLUGINS__STRICT": "true"}
    ended = await adohub("plugins", "list", "--json", cwd=folder, env=env)
    failed = [plugin["name"] for plugin in json.loads(ended.out) if plugin["status"] == "failed"]
    assert sorted(failed) == ["misspelt", "unlucky"]


async def test_a_plugin_brings_commands_but_replaces_none(folder: Path, hub_url: str) -> None:
    put(folder, good=GOOD)
    assert (await adohub("greet", cwd=folder)).out == "hello\n"
    helped = await adohub("--help", cwd=folder)
    assert any(line.split()[:1] == ["greet"] for line in helped.lines)
    assert (await adohub("status", "--url", hub_url, cwd=folder)).out.startswith(hub_url)


async def test_a_plugin_whose_commands_fail_takes_nothing_else_away(folder: Path) -> None:
    put(folder, good=GOOD, unlucky=COMMANDS_FAIL)
    for arguments in (["greet"], ["--help"]):
        ended = await adohub(*arguments, cwd=folder)
        assert ended.status == 0
        [line] = ended.err.splitlines()
        assert "unlucky" in line
        assert "no luck today" in line


async def test_a_broken_configuration_does_not_take_help_away(tmp_path: Path) -> None:
    (tmp_path / "adohub.toml").write_text("[serve]\n")
    ended = await adohub("--help", cwd=tmp_path)
    assert ended.status == 0
    assert "config" in ended.out
    assert "Traceback" not in ended.err
