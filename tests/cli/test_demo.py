"""`adohub demo`: shows the whole of adohub at work, tells how to connect, and leaves nothing behind."""

from __future__ import annotations

import re
import shlex
import signal
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest
import trio

from tests.cli.processes import DEADLINE_S, Running, adohub, running

MARK = "DEMO_OF_THIS_TEST"
PHASES = ("spec", "impl", "test", "validate")


def folder_for(tmp_path: Path) -> dict[str, str]:
    """An environment that marks all processes of the demo, and has their temporary files here."""
    (tmp_path / "tmp").mkdir()
    return {MARK: str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}


def nothing_is_left(tmp_path: Path) -> bool:
    """Whether there is neither a temporary file nor a process of the demo."""
    mark = f"{MARK}={tmp_path}".encode()
    return not list((tmp_path / "tmp").iterdir()) and not any(
        mark in environment_of(process) for process in Path("/proc").glob("[0-9]*")
    )


def environment_of(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # it has just ended, or is not ours


async def printed_commands(demo: Running) -> tuple[list[str], list[str], str]:
    """The printed lines with which to watch and to tail, and the hub's address."""
    await demo.until("onData")
    watch = re.search(r"^ +(\S.* watch .*?)\r?$", demo.out, re.MULTILINE)
    tail = re.search(r"^ +(\S.* tail .*?)\r?$", demo.out, re.MULTILINE)
    url = re.search(r"ws://[\w.:]+", demo.out)
    assert watch
    assert tail
    assert url
    assert f"createWSClient({{ url: '{url[0]}' }})" in demo.out
    return shlex.split(watch[1]), shlex.split(tail[1]), url[0]


async def test_in_a_pipe_it_prints_lines_and_others_can_join(tmp_path: Path) -> None:
    env = folder_for(tmp_path)
    async with running("demo", env=env, cwd=tmp_path) as demo:
        watch_line, tail_line, url = await printed_commands(demo)
        async with (
            running(*watch_line[1:], program=(watch_line[0],)) as watch,
            running(*tail_line[1:], program=(tail_line[0],)) as tail,
        ):
            await tail.until("task.progress")
            assert (await adohub("status", "--url", url)).status == 0
            watched = await watch.ended()
            ended = await demo.ended()
            await tail.until("connection lost")
    assert (ended.status, ended.err) == (0, "")
    assert watched.status == 0
    for seen in (ended.out, watched.out):
        steps = re.findall(r"^\[(\w+) +(\d+)%\]", seen, re.MULTILINE)
        assert [phase for phase, _ in groupby(steps, key=itemgetter(0))][-4:] == list(PHASES)
        assert re.search(r"^demo completed in [\d.]+ s$", seen, re.MULTILINE)
    assert "\x1b" not in ended.out
    assert nothing_is_left(tmp_path)


async def test_on_a_terminal_it_shows_a_bar_that_moves(tmp_path: Path) -> None:
    env = folder_for(tmp_path)
    async with running("demo", env=env, cwd=tmp_path, terminal=(24, 100)) as demo:
        ended = await demo.ended()
    assert ended.status == 0
    assert "━" in ended.out
    assert len(set(re.findall(r"(\d+)%", ended.out))) > 20
    assert "demo completed in" in ended.out
    assert ended.out.rindex("\x1b[?25h") > ended.out.rindex("\x1b[?25l")
    assert nothing_is_left(tmp_path)


async def typed(demo: Running) -> None:
    await demo.type("\x03")


async def sent(demo: Running) -> None:
    demo.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(("end", "status"), [(typed, 130), (sent, 143)])
async def test_it_can_be_ended_and_leaves_nothing_behind(tmp_path: Path, end: object, status: int) -> None:
    assert callable(end)
    env = folder_for(tmp_path)
    async with running("demo", env=env, cwd=tmp_path, terminal=(24, 100)) as demo:
        await demo.until("spec")
        await end(demo)
        ended = await demo.ended()
    assert ended.status == status
    assert "Traceback" not in ended.out
    assert "Aborted" not in ended.out
    assert ended.out.rindex("\x1b[?25h") > ended.out.rindex("\x1b[?25l")
    assert nothing_is_left(tmp_path)


async def test_it_stays_if_told_so(tmp_path: Path) -> None:
    env = folder_for(tmp_path)
    with trio.fail_after(DEADLINE_S):
        async with running("demo", "--stay", env=env, cwd=tmp_path) as demo:
            _, _, url = await printed_commands(demo)
            await demo.until("Ctrl-C ends it")
            assert (await adohub("watch", "demo", "--url", url)).status == 0
            demo.process.send_signal(signal.SIGINT)
            ended = await demo.ended()
    assert (ended.status, ended.err) == (130, "")
    assert nothing_is_left(tmp_path)
