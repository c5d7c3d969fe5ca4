"""Hubs that share a port: the system spreads clients over them, and one that is gone leaves none alone."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from adohub.client import connect
from tests.cli.processes import DEADLINE_S, Ended, Hub, environment, serving

SHARING = "[server]\nreuse_port = true\n"
MANY = 40
"""So many connections that all meet the same of two hubs once in 2**39 times."""


async def instance(url: str) -> str:
    """Which hub answers there, on a connection of its own."""
    async with connect(url) as client:
        return str((await client.query("hub.health"))["instance"])


async def met(hub: Hub) -> Counter[str]:
    """Which hubs many connections meet, and how often."""
    with trio.fail_after(DEADLINE_S):
        return Counter([await instance(hub.url) for _ in range(MANY)])


async def test_each_of_two_hubs_gets_clients_and_one_is_enough(tmp_path: Path) -> None:
    async with serving(tmp_path, SHARING) as one:
        (first,) = await met(one)
        async with serving(tmp_path, SHARING, port=one.port) as other:
            assert other.port == one.port
            spread = await met(one)
            assert len(spread) == 2
            assert first in spread
            await one.kill()
            (left,) = await met(other)
            assert {first, left} == set(spread)


async def test_hubs_are_restarted_one_by_one_and_nobody_is_turned_away(tmp_path: Path) -> None:
    async with serving(tmp_path, SHARING) as old, serving(tmp_path, SHARING, port=old.port) as staying:
        before = set(await met(old))
        assert (await old.stop()).status == 0
        (left,) = await met(staying)
        async with serving(tmp_path, SHARING, port=old.port):
            after = set(await met(staying))
    assert before & after == {left}
    assert len(after) == 2


# ── the recipe of docs/cluster.md ────────────────────────────────────────────────────────────────────────

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    """A folder with the page's script in it; whatever that has started is ended at the end."""
    (script,) = re.findall(r"^```sh\n(#!.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "hubs.sh").write_text(script)
    (tmp_path / "hub.toml").write_text("[server]\nreuse_port = true\nport = 0\n")
    yield tmp_path
    for each in tmp_path.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(each.read_text()), signal.SIGKILL)


async def hubs(folder: Path, *arguments: str) -> Ended:
    """Run the script to its end."""
    own = {
        "ADOHUB_RUN": str(folder),
        "ADOHUB_CONFIG": str(folder / "hub.toml"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with trio.fail_after(DEADLINE_S):
        done = await trio.run_process(
            ["sh", str(folder / "hubs.sh"), *arguments],
            capture_stderr=True,
            check=False,
            env=environment(own),
        )
    return Ended(done.returncode, "", done.stderr.decode())


async def test_the_recipe_starts_restarts_and_stops_hubs(recipe: Path) -> None:
    urls = [f"unix://{recipe / name}" for name in ("1.sock", "2.sock")]
    assert (await hubs(recipe, "start", "2")).status == 0
    first = {await instance(url) for url in urls}
    assert (await hubs(recipe, "restart", "2")).status == 0
    second = {await instance(url) for url in urls}
    assert len(first | second) == 4
    assert (await hubs(recipe, "stop", "2")).status == 0
    for name in ("1.sock", "2.sock"):
        assert not (recipe / name).exists()


async def test_the_recipe_ends_when_a_hub_cannot_start(recipe: Path) -> None:
    (recipe / "hub.toml").write_text("[server]\nprot = 1\n")
    assert (await hubs(recipe, "start", "2")).status == 1
    assert "unknown key" in (recipe / "1.log").read_text()
    assert not (recipe / "2.pid").exists()
