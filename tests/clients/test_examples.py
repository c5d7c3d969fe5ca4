"""The examples do what their READMEs say: the terminal client in Node, the React page in a real Chromium."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.cli.processes import adohub, completed, output, progress, publish, running, serving, sqlite_at
from tests.clients.browser import browser, pages_of

EXAMPLES = Path(__file__).parents[2] / "examples"
EACH_EXAMPLE = pytest.mark.parametrize("example", ["cli", "react"])
MOST_LINES = 40
GENERATED = "adohub.ts"
TOPIC = "task.progress"
WATCH = ("node", "--import", "tsx", "watch.ts")
"""What `npm run watch` runs, in one process."""


@EACH_EXAMPLE
def test_each_file_of_an_example_fits_in_forty_lines(example: str) -> None:
    folder = EXAMPLES / example
    sources = [path for path in (*folder.glob("*.ts"), *folder.glob("src/*.ts*")) if path.name != GENERATED]
    assert sources
    lengths = {path.name: len(path.read_text().splitlines()) for path in sources}
    assert {name: lines for name, lines in lengths.items() if lines >= MOST_LINES} == {}


@pytest.mark.parametrize("types", ["cli/adohub.ts", "react/src/adohub.ts"])
async def test_the_types_of_an_example_are_those_of_a_hub_as_it_comes(types: str) -> None:
    as_it_comes = {"ADOHUB__PLUGINS__DISABLED": '["notes"]'}
    checked = await adohub("typegen", "--check", "--out", str(EXAMPLES / types), env=as_it_comes)
    assert checked.status == 0, f"make it anew, with {as_it_comes} in the environment: {checked.err}"


@EACH_EXAMPLE
def test_an_example_is_typed_by_what_the_hub_generates(example: str) -> None:
    checked = subprocess.run(
        ["npm", "run", "--silent", "check"],
        cwd=EXAMPLES / example,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")


# ── in a terminal ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "exit_status"), [("completed", 0), ("failed", 1)])
async def test_the_terminal_client_shows_a_task_and_ends_with_it(
    status: str, exit_status: int, tmp_path: Path
) -> None:
    async with serving(tmp_path) as hub:
        async with running("t", hub.url, cwd=EXAMPLES / "cli", program=WATCH) as watch:
            await publish(hub.url, (TOPIC, progress("t", 50, "half", "impl")))
            await watch.until("50% impl: half")
            await publish(hub.url, ("agent.output", output("t", "to stdout\n")))
            await publish(hub.url, ("agent.output", output("t", "to stderr\n", "stderr")))
            await publish(hub.url, (TOPIC, progress("another", 99, "not shown")))
            await publish(hub.url, ("task.completed", completed("t", status)))
            ended = await watch.ended()
        assert (ended.status, ended.err) == (exit_status, "to stderr\n")
        assert set(ended.lines) == {
            "██████████░░░░░░░░░░ 50% impl: half",
            "to stdout",
            f"{status} after 1.5 s",
        }


async def test_the_terminal_client_shows_what_a_command_does(tmp_path: Path) -> None:
    async with serving(tmp_path) as hub:
        done = await adohub("exec", "--task", "t", "--url", hub.url, "--", "echo", "hello from a command")
        assert done.status == 0
        async with running("t", hub.url, cwd=EXAMPLES / "cli", program=WATCH) as watch:
            ended = await watch.ended()
        assert ended.status == 0
        assert "hello from a command" in ended.lines


async def test_the_terminal_client_outlives_the_hub(tmp_path: Path) -> None:
    toml = sqlite_at(tmp_path / "hub.db")
    async with serving(tmp_path, toml) as hub:
        async with running("t", hub.url, cwd=EXAMPLES / "cli", program=WATCH) as watch:
            await publish(hub.url, (TOPIC, progress("t", 10, "before")))
            await watch.until("before")
            await hub.kill()
            async with serving(tmp_path, toml, port=hub.port) as again:
                await publish(again.url, (TOPIC, progress("t", 20, "after")))
                await publish(again.url, ("task.completed", completed("t")))
                ended = await watch.ended()
            assert ended.status == 0
            shown = [line.rpartition(" ")[2] for line in ended.lines if "impl:" in line]
            assert shown == ["before", "after"]


# ── in a page ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_page_shows_a_task_until_it_ends_over_a_crash_of_the_hub(tmp_path: Path) -> None:
    async with browser() as chromium, pages_of(EXAMPLES / "react" / "dist") as origin:
        toml = f'[server]\nallowed_origins = ["{origin}"]\n' + sqlite_at(tmp_path / "hub.db")
        async with serving(tmp_path, toml) as hub:
            page = await chromium.open(f"{origin}/?{urlencode({'hub': hub.url, 'task': 't'})}")
            await page.until_text(".end", "under way")
            await publish(hub.url, (TOPIC, progress("t", 25, "begun", "test")))
            await page.until_text(".message", "test: begun")
            await hub.kill()
            await page.until_text(".end", "connecting …")
            async with serving(tmp_path, toml, port=hub.port) as again:
                await page.until_text(".end", "under way")
                await publish(again.url, (TOPIC, progress("t", 75, "nearly", "test")))
                await page.until_text(".message", "test: nearly")
                await publish(again.url, ("task.completed", completed("t")))
                await page.until_text(".end", "completed")
            assert await page.texts("h1") == ["t"]
            assert page.complaints == []
