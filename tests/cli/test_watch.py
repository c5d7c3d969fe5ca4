"""`adohub watch`: a bar on a terminal, lines in a pipe, JSON for programs, and the task's end as its own."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
import trio

from tests.cli.processes import (
    DEADLINE_S,
    Running,
    adohub,
    completed,
    output,
    progress,
    publish,
    running,
    serving,
)
from tests.severing import severing_proxy

CURSOR_SHOWN = "\x1b[?25h"
CURSOR_HIDDEN = "\x1b[?25l"
COLOURS = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m")


async def a_whole_task(url: str, task: str, status: str = "completed") -> list[str]:
    return await publish(
        url,
        ("task.progress", progress(task, 10, "begun")),
        ("agent.output", output(task, "half a li")),
        ("agent.output", output(task, "whoops\n", "stderr")),
        ("agent.output", output(task, "ne\nno end")),
        ("task.progress", progress(task, 10.4, "not a percent more")),
        ("task.progress", progress(task, 60, "more", "test")),
        ("task.completed", completed(task, status)),
    )


@pytest.mark.parametrize(("outcome", "status"), [("completed", 0), ("failed", 1)])
async def test_a_task_that_is_done_is_shown_and_its_outcome_is_the_status(
    hub_url: str, outcome: str, status: int
) -> None:
    task = f"wa-{outcome}"
    await a_whole_task(hub_url, task, outcome)
    ended = await adohub("watch", task, "--url", hub_url)
    assert (ended.status, ended.err) == (status, "")
    assert ended.lines == [
        "[impl  10%] begun",
        "whoops",
        "half a line",
        "[test  60%] more",
        "no end",
        f"{task} {outcome} in 1.5 s",
    ]


async def test_json_is_the_events_of_the_contract(hub_url: str) -> None:
    ids = await a_whole_task(hub_url, "wa-json")
    await publish(hub_url, ("task.progress", progress("wa-another", 1)))
    ended = await adohub("watch", "wa-json", "--json", "--url", hub_url)
    assert (ended.status, ended.err) == (0, "")
    events = [json.loads(line) for line in ended.lines]
    assert [list(event) for event in events] == [["id", "topic", "key", "payload", "timestamp"]] * 7
    assert [event["id"] for event in events] == ids
    assert {event["key"] for event in events} == {"wa-json"}


async def test_a_terminal_gets_a_bar_that_moves(hub_url: str) -> None:
    async with running("watch", "wa-bar", "--url", hub_url, terminal=(24, 100)) as watch:
        await watch.until("waiting …")
        for percent in (20, 50, 80):
            await publish(hub_url, ("task.progress", progress("wa-bar", percent, f"at {percent}")))
            await watch.until(f"at {percent}")
        await publish(
            hub_url,
            ("agent.output", output("wa-bar", "made\n")),
            ("agent.output", output("wa-bar", "whoops\n", "stderr")),
            ("task.completed", completed("wa-bar")),
        )
        ended = await watch.ended()
    assert ended.status == 0
    seen = [int(percent) for percent in re.findall(r"(\d+)%", ended.out)]
    assert seen == sorted(seen)
    assert {0, 20, 50, 80, 100} <= set(seen)
    assert "━" in ended.out
    assert COLOURS.search(ended.out)
    assert "made" in ended.out
    assert "whoops" in ended.out
    assert "wa-bar completed in 1.5 s" in ended.out
    assert ended.out.rindex(CURSOR_SHOWN) > ended.out.rindex(CURSOR_HIDDEN)


async def test_the_bar_stays_on_one_row_of_a_narrow_terminal(hub_url: str) -> None:
    task = "wa-narrow-and-of-a-name-that-is-long"
    await publish(
        hub_url,
        ("task.progress", progress(task, 40, "a message\nof two lines, neither of which has room")),
        ("task.completed", completed(task)),
    )
    for columns in (20, 40):
        async with running("watch", task, "--url", hub_url, terminal=(10, columns)) as watch:
            ended = await watch.ended()
        assert ended.status == 0
        assert not re.search(r"\x1b\[\d*A", ended.out), "the cursor goes up, so there were several rows"


async def test_no_color_is_heeded(hub_url: str) -> None:
    await a_whole_task(hub_url, "wa-no-color")
    await publish(hub_url, ("agent.output", output("wa-no-color", "\x1b[31mred\x1b[0m\n")))
    watch = ["watch", "wa-no-color", "--url", hub_url]
    async with running(*watch, terminal=(24, 100), env={"NO_COLOR": "1"}) as process:
        ended = await process.ended()
    assert not COLOURS.search(ended.out)
    assert CURSOR_HIDDEN in ended.out


@pytest.mark.parametrize(
    ("terminal", "env"), [(None, {"FORCE_COLOR": "1"}), ((24, 100), {"TERM": "dumb"}), (None, {})]
)
async def test_without_a_capable_terminal_lines_are_plain(
    hub_url: str, terminal: tuple[int, int] | None, env: dict[str, str]
) -> None:
    await a_whole_task(hub_url, "wa-plain")
    async with running("watch", "wa-plain", "--url", hub_url, terminal=terminal, env=env) as process:
        ended = await process.ended()
    assert "\x1b" not in ended.out
    assert "[impl  10%] begun" in ended.out


EVIL = "\x1b]0;title\x07\x1b[2J\x1b[10;10H\x1bc\x9b5n\x07\x1bPq#0\x1b\\\x1b]8;;http://x\x1b\\"


@pytest.mark.parametrize("terminal", [None, (24, 100)])
async def test_control_sequences_do_no_harm(hub_url: str, terminal: tuple[int, int] | None) -> None:
    task = f"wa-evil-{bool(terminal)}-[/red]{EVIL}"
    await publish(
        hub_url,
        ("task.progress", progress(task, 10, f"{EVIL}[/bold]message")),
        ("agent.output", output(task, f"{EVIL}plain [/b] \x1b[35mpurple\x1b[0m\n")),
        ("agent.output", output(task, EVIL)),
        ("task.completed", completed(task)),
    )
    async with running("watch", task, "--url", hub_url, terminal=terminal) as process:
        ended = await process.ended()
    assert ended.status == 0
    for sequence in ("\x1b]", "title", "\x1b[2J", "\x1b[10;10H", "\x1bc", "\x9b", "\x07", "\x1bP", "#0"):
        assert sequence not in ended.out
    assert "[/bold]message" in ended.out
    assert "plain [/b] " in ended.out
    assert "purple" in ended.out
    assert ("\x1b[35m" in ended.out) is bool(terminal)


async def test_of_output_over_output_the_last_stays(hub_url: str) -> None:
    await publish(
        hub_url,
        ("agent.output", output("wa-cr", "10%\r20%\r")),
        ("agent.output", output("wa-cr", "30%\r\n40%\r50%\r")),
        ("task.completed", completed("wa-cr")),
    )
    ended = await adohub("watch", "wa-cr", "--url", hub_url)
    assert ended.lines[:2] == ["30%", "50%"]


async def test_an_unknown_task_is_waited_for_and_it_says_so(hub_url: str) -> None:
    async with running("watch", "wa-unknown", "--url", hub_url) as watch:
        await watch.until("nothing is known of task wa-unknown yet; waiting for it\n")
        await a_whole_task(hub_url, "wa-unknown")
        ended = await watch.ended()
    assert ended.status == 0
    assert len(ended.lines) == 6


async def test_of_several_runs_the_newest_is_shown(hub_url: str) -> None:
    await publish(
        hub_url,
        ("task.progress", progress("wa-runs", 1, "the first")),
        ("task.completed", completed("wa-runs", "failed")),
        ("task.progress", progress("wa-runs", 1, "the second")),
        ("task.completed", completed("wa-runs", "failed")),
        ("task.progress", progress("wa-runs", 1, "the third")),
    )
    async with running("watch", "wa-runs", "--url", hub_url) as watch:
        await watch.until("the third")
        await publish(hub_url, ("task.completed", completed("wa-runs")))
        ended = await watch.ended()
    again = await adohub("watch", "wa-runs", "--url", hub_url)
    assert (again.status, again.out) == (0, ended.out)
    assert ended.lines == ["[impl   1%] the third", "wa-runs completed in 1.5 s"]
    assert ended.err == ""


async def interrupted(watch: Running) -> None:
    await watch.until("waiting")
    watch.process.send_signal(signal.SIGINT)


async def typed_at(watch: Running) -> None:
    await watch.until("waiting …")
    await watch.type("\x03")


async def terminated(watch: Running) -> None:
    await watch.until("waiting …")
    watch.process.send_signal(signal.SIGTERM)


async def hung_up(watch: Running) -> None:
    await watch.until("waiting …")
    watch.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize(
    ("terminal", "end", "status"),
    [
        (None, interrupted, 130),
        ((24, 80), typed_at, 130),
        ((24, 80), terminated, 143),
        ((24, 80), hung_up, 129),
    ],
)
async def test_it_can_be_ended_and_leaves_the_terminal_as_it_was(
    hub_url: str, terminal: tuple[int, int] | None, end: object, status: int
) -> None:
    assert callable(end)
    async with running("watch", "wa-never", "--url", hub_url, terminal=terminal) as watch:
        await end(watch)
        ended = await watch.ended()
    assert ended.status == status
    assert "Aborted" not in ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err
    assert ended.out.count(CURSOR_SHOWN) == (1 if terminal else 0)


@pytest.mark.parametrize("terminal", [None, (24, 100)])
async def test_a_hub_that_comes_back_is_found_again(tmp_path: Path, terminal: tuple[int, int] | None) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub:
            await publish(hub.url, ("task.progress", progress("t", 10, "before")))
            async with running("watch", "t", "--url", hub.url, terminal=terminal) as watch:
                await watch.until("before")
                await hub.kill()
                await watch.until("connection lost; reconnecting")
                async with serving(tmp_path, port=hub.port) as again:
                    await watch.until("connected again")
                    await publish(
                        again.url,
                        ("task.progress", progress("t", 20, "behind")),
                        ("task.completed", completed("t")),
                    )
                    ended = await watch.ended()
    assert ended.status == 0
    assert "behind" in ended.out


async def test_a_connection_that_is_cut_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub, severing_proxy(int(hub.port)) as proxy:
            async with running("watch", "t", "--url", f"ws://127.0.0.1:{proxy.port}") as watch:
                await watch.until("waiting")
                for cut in range(5):
                    lines = [f"{number}\n" for number in range(cut * 100, cut * 100 + 100)]
                    await publish(hub.url, *(("agent.output", output("t", line)) for line in lines))
                    await watch.until(f"{cut * 100}\n")
                    proxy.cut()
                await publish(hub.url, ("task.completed", completed("t")))
                ended = await watch.ended()
    assert ended.status == 0
    assert ended.lines[:-1] == [str(number) for number in range(500)]


async def test_without_a_hub_it_says_so(tmp_path: Path) -> None:
    ended = await adohub("watch", "t", "--url", f"unix://{tmp_path}/none")
    assert (ended.status, ended.out) == (69, "")
    assert len(ended.err.splitlines()) == 1
