"""`adohub typegen`: to stdout or into a file, checked in CI, the same hash as a running hub's."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import trio

from adohub.client import connect
from tests.cli.processes import DEADLINE_S, Ended, adohub, serving
from tests.typegen.making import EVERY

TOML = """
[plugins]
directories = ["plugins"]
disabled = ["notes"]
[channels."deploy.onRelease"]
topics = ["deploy.release"]
key = "env"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an adohub.toml, a plugin and a channel."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "every.py").write_text(EVERY.read_text())
    (tmp_path / "adohub.toml").write_text(TOML)
    return tmp_path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def typegen(folder: Path, *arguments: str) -> Ended:
    return await adohub("typegen", *arguments, cwd=folder)


async def test_stdout_gets_the_types_of_plugins_and_of_the_configuration(folder: Path) -> None:
    ended = await typegen(folder)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith("\n")
    for text in ("export interface TaskProgressEvent {", "export interface Every {", "'deploy.release': "):
        assert text in ended.out
    assert "from '@trpc/server'" in ended.out


async def test_the_same_configuration_gives_the_same_text(folder: Path) -> None:
    assert (await typegen(folder)).out == (await typegen(folder)).out


async def test_a_file_that_holds_the_types_is_not_touched(folder: Path) -> None:
    for _ in range(2):
        ended = await typegen(folder, "--out", "hub.ts")
        assert (ended.status, ended.out, ended.err) == (0, "", "")
    file = folder / "hub.ts"
    assert file.read_text() == (await typegen(folder)).out
    older = re.sub(r"adohub \S+ with", "adohub 0.0.1 with", file.read_text(), count=1)
    file.write_text(older)
    await typegen(folder, "--out", "hub.ts")
    assert file.read_text() == older
    assert (await typegen(folder, "--out", "hub.ts", "--check")).status == 0


async def test_a_file_that_is_out_of_date_is_replaced_as_a_whole(folder: Path) -> None:
    file = folder / "hub.ts"
    file.write_text("// old\n")
    file.chmod(0o640)
    link = folder / "link.ts"
    link.symlink_to(file)
    assert (await typegen(folder, "--out", "link.ts")).status == 0
    assert file.read_text() == (await typegen(folder)).out
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert names_in(folder) == {"adohub.toml", "hub.ts", "link.ts", "plugins"}


@pytest.mark.parametrize("options", [(), ("--json-schema",), ("--trpc", "10")], ids=" ".join)
async def test_check_fails_in_one_line_when_the_file_is_out_of_date(
    folder: Path, options: tuple[str, ...]
) -> None:
    checked = ("--out", "hub.ts", "--check", *options)
    missing = await typegen(folder, *checked)
    assert (missing.status, missing.out) == (1, "")
    assert missing.err.startswith("adohub: hub.ts is no file; ")
    assert not (folder / "hub.ts").exists()

    await typegen(folder, "--out", "hub.ts", *options)
    good = await typegen(folder, *checked)
    assert (good.status, good.out, good.err) == (0, "", "")

    written = (folder / "hub.ts").read_text()
    (folder / "adohub.toml").write_text(TOML.replace("deploy.release", "deploy.rollback"))
    old = await typegen(folder, *checked)
    assert (old.status, old.out) == (1, "")
    [line] = old.err.splitlines()
    assert line.startswith("adohub: hub.ts is out of date; ")
    assert (folder / "hub.ts").read_text() == written


async def test_a_broken_plugin_is_named_and_nothing_is_written(folder: Path) -> None:
    (folder / "plugins" / "unlucky.py").write_text("import no_such_module_anywhere\n")
    ended = await typegen(folder, "--out", "hub.ts")
    assert (ended.status, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert "plugin unlucky: " in line
    assert not (folder / "hub.ts").exists()


async def test_an_output_without_a_form_on_the_wire_breaks_its_plugin(folder: Path) -> None:
    (folder / "plugins" / "odd.py").write_text(
        "from adohub import Procedure, hookimpl\n"
        "@hookimpl\n"
        "def adohub_procedures(config):\n"
        "    return [Procedure('odd.set', 'query', lambda input, call: 1, output=set[int])]\n"
    )
    ended = await typegen(folder)
    assert ended.status == 2
    assert "plugin odd: output of odd.set: " in ended.err


async def test_what_is_no_regular_file_is_written_and_not_replaced(folder: Path) -> None:
    ended = await typegen(folder, "--out", "/dev/stdout")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == (await typegen(folder)).out


async def test_a_running_hub_tells_the_hash_that_is_in_the_file(folder: Path) -> None:
    module = (await typegen(folder)).out
    schemas = json.loads((await typegen(folder, "--json-schema")).out)
    async with serving(folder, TOML) as hub:
        with trio.fail_after(DEADLINE_S):
            async with connect(hub.url) as client:
                told = (await client.query("hub.info"))["schemaHash"]
    assert re.findall(r"export const schemaHash = '(\w{64})';", module) == [told]
    assert schemas["schemaHash"] == told


@pytest.mark.parametrize(
    "options", [(), ("--json-schema",), ("--trpc", "10"), ("--config", "adohub.toml", "--trpc", "10")]
)
async def test_who_follows_the_advice_of_check_has_what_is_checked(
    folder: Path, options: tuple[str, ...]
) -> None:
    out = ("--out", "my types.ts")
    missing = await typegen(folder, *out, "--check", *options)
    advised = re.search(r"`adohub typegen (.+)`", missing.err)
    assert missing.status == 1
    assert advised
    assert (await typegen(folder, *shlex.split(advised[1]))).status == 0
    assert (await typegen(folder, *out, "--check", *options)).status == 0
