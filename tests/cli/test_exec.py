"""`adohub exec`: all of a command reaches the hub, in order, once, and its status comes back."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import trio

from tests.cli.processes import (
    DEADLINE_S,
    Running,
    adohub,
    completed,
    history,
    kept,
    progress,
    publish,
    running,
    serving,
)
from tests.severing import severing_proxy

PYTHON = (sys.executable, "-u", "-c")


async def told_by(url: str, task: str, stream: str = "stdout") -> str:
    """What the hub was told of the task's output on one stream."""
    events = await history(url, "agent.output", key=task)
    return "".join(event["payload"]["content"] for event in events if event["payload"]["type"] == stream)


async def percentages(url: str, task: str) -> list[tuple[str, float]]:
    events = await history(url, "task.progress", key=task)
    return [(event["payload"]["phase"], event["payload"]["progress"]) for event in events]


async def ends(url: str, task: str) -> list[str]:
    """The statuses of all completions, which must be the last thing that is told."""
    events = await history(url, "task.*", "agent.*", key=task)
    statuses = [event["payload"]["status"] for event in events if event["topic"] == "task.completed"]
    assert events[-1]["topic"] == "task.completed"
    return statuses


async def test_both_streams_are_told_and_copied(hub_url: str) -> None:
    code = "import sys; sys.stdout.write('to öut\\nno end'); sys.stderr.write('to err\\n')"
    ended = await adohub("exec", "--task", "ex-both", "--agent", "me", "--url", hub_url, "--", *PYTHON, code)
    assert (ended.status, ended.out, ended.err) == (0, "to öut\nno end", "to err\n")
    assert await told_by(hub_url, "ex-both") == "to öut\nno end"
    assert await told_by(hub_url, "ex-both", "stderr") == "to err\n"
    assert await ends(hub_url, "ex-both") == ["completed"]
    [first, *_] = await history(hub_url, "agent.output", key="ex-both")
    assert first["payload"]["agentId"] == "me"


async def test_quiet_copies_nothing(hub_url: str) -> None:
    ended = await adohub(
        "exec", "--quiet", "--task", "ex-quiet", "--url", hub_url, "--", *PYTHON, "print('hi')"
    )
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert await told_by(hub_url, "ex-quiet") == "hi\n"


@pytest.mark.parametrize(
    ("task", "command", "status"),
    [
        ("ex-3", [*PYTHON, "raise SystemExit(3)"], 3),
        ("ex-kill", [*PYTHON, "import os; os.kill(os.getpid(), 9)"], 137),
        ("ex-127", ["no-such-command-anywhere"], 127),
        ("ex-126", ["/"], 126),
    ],
)
async def test_it_exits_as_the_command_does(hub_url: str, task: str, command: list[str], status: int) -> None:
    ended = await adohub("exec", "--task", task, "--url", hub_url, "--", *command)
    assert ended.status == status
    assert "Traceback" not in ended.err
    assert await ends(hub_url, task) == ["failed"]


async def test_progress_is_read_from_lines(hub_url: str) -> None:
    code = "print('12/80 files'); print('[validate] 37% checked')"
    await adohub("exec", "--task", "ex-lines", "--phase", "test", "--url", hub_url, "--", *PYTHON, code)
    assert await percentages(hub_url, "ex-lines") == [
        ("test", 0),
        ("test", 15),
        ("validate", 37),
        ("validate", 100),
    ]


async def test_progress_is_read_by_a_regex(hub_url: str) -> None:
    code = "print('step 1 of 4: mixing'); print('99%')"
    regex = r"step (?P<done>\d+) of (?P<total>\d+): (?P<message>.*)"
    arguments = ["exec", "--task", "ex-regex", "--progress-regex", regex, "--url", hub_url, "--"]
    ended = await adohub(*arguments, *PYTHON, code + "; raise SystemExit(1)")
    assert ended.status == 1
    assert await percentages(hub_url, "ex-regex") == [("impl", 0), ("impl", 25)]
    assert (await history(hub_url, "task.progress", key="ex-regex"))[1]["payload"]["message"] == "mixing"


async def test_with_a_pty_the_command_has_a_terminal(hub_url: str) -> None:
    code = "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"
    for task, pty, expected in [("ex-tty", ["--pty"], "True True"), ("ex-pipe", [], "False False")]:
        ended = await adohub("exec", "--task", task, *pty, "--url", hub_url, "--", *PYTHON, code)
        assert ended.out.strip() == expected
        assert (await told_by(hub_url, task)).strip() == expected


async def test_an_argument_need_not_be_utf_8(hub_url: str) -> None:
    code = "import sys; print(ascii(sys.argv[1]))"
    ended = await adohub("exec", "--task", "ex-bytes", "--url", hub_url, "--", *PYTHON, code, "a\udcffb")
    assert (ended.status, ended.out, ended.err) == (0, "'a\\udcffb'\n", "")
    assert await ends(hub_url, "ex-bytes") == ["completed"]


async def test_options_after_the_command_are_its_own(hub_url: str) -> None:
    for task, separator in [("ex-own", ["--"]), ("ex-own-2", [])]:
        code = "import sys; print(sys.argv[1:])"
        arguments = ["exec", "--task", task, "--url", hub_url, *separator, *PYTHON, code]
        assert (await adohub(*arguments, "--url", "x", "--", "-h")).out == "['--url', 'x', '--', '-h']\n"


async def test_without_a_hub_the_command_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    for url in ("ws://127.0.0.1:1", f"unix://{tmp_path}/none"):
        ended = await adohub("exec", "--task", "t", "--url", url, "--", "touch", str(mark))
        assert (ended.status, ended.out) == (69, "")
        assert len(ended.err.splitlines()) == 1
        assert not mark.exists()


async def test_a_task_that_has_completed_before_is_mentioned(hub_url: str) -> None:
    await publish(hub_url, ("task.completed", completed("ex-again")))
    ended = await adohub("exec", "--task", "ex-again", "--url", hub_url, "--", *PYTHON, "print('hi')")
    assert (ended.status, ended.out) == (0, "hi\n")
    [line] = ended.err.splitlines()
    assert "ex-again has completed before" in line


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals_reach_the_command(hub_url: str, signum: signal.Signals) -> None:
    code = (
        "import signal, sys\n"
        f"signal.signal({signum}, lambda *_: sys.exit(9))\n"
        "print('listening')\n"
        "signal.pause()\n"
    )
    task = f"ex-{signum.name}"
    async with running("exec", "--task", task, "--url", hub_url, "--", *PYTHON, code) as process:
        await process.until("listening")
        process.process.send_signal(signum)
        ended = await process.ended()
    assert (ended.status, ended.err) == (9, "")
    assert await ends(hub_url, task) == ["failed"]


async def test_ctrl_c_at_a_terminal_ends_the_command_and_is_told(hub_url: str) -> None:
    async with running(
        "exec", "--task", "ex-ctrl-c", "--url", hub_url, "--", "cat", terminal=(24, 80)
    ) as process:
        await process.type("echoed\r")
        await kept(hub_url, 1, "agent.output", key="ex-ctrl-c")
        await process.type("\x03")
        ended = await process.ended()
    assert ended.status == 130
    assert "Aborted" not in ended.out
    assert "Traceback" not in ended.out
    assert await ends(hub_url, "ex-ctrl-c") == ["failed"]


async def test_under_nohup_a_hangup_ends_nothing(hub_url: str) -> None:
    nohup = ("nohup", sys.executable, "-m", "adohub")
    arguments = ["exec", "--task", "ex-nohup", "--url", hub_url, "--", "cat"]
    async with running(*arguments, program=nohup) as process:
        await process.type("1\n")
        await process.until("1\n")
        process.process.send_signal(signal.SIGHUP)
        await process.type("2\n")
        await process.until("2\n")
        await process.close_stdin()
        assert (await process.ended()).status == 0
    assert await told_by(hub_url, "ex-nohup") == "1\n2\n"


async def cat_lines(process: Running, lines: range) -> None:
    """Have the command, a `cat`, write these numbers, and see that it has."""
    await process.type("".join(f"{number}\n" for number in lines))
    await process.until(f"\n{lines[-1]}\n")


async def test_a_hub_that_crashes_and_returns_gets_the_rest_once_and_in_order(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub:
            arguments = ["exec", "--task", "t", "--url", hub.url, "--", "cat"]
            async with running(*arguments) as process:
                await process.type("before\n")
                await kept(hub.url, 1, "agent.output", key="t")
                await hub.kill()
                await process.until("connection lost")
                await cat_lines(process, range(1000))
                await process.close_stdin()
                await process.until("waiting for the hub")
                async with serving(tmp_path, port=hub.port) as again:
                    ended = await process.ended()
                    told = await told_by(again.url, "t")
                    assert await ends(again.url, "t") == ["completed"]
    numbers = "".join(f"{number}\n" for number in range(1000))
    assert ended.status == 0
    assert told in (numbers, f"before\n{numbers}")  # the crash may have eaten an acknowledgement
    assert ended.out == f"before\n{numbers}"


async def test_a_connection_that_is_cut_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub, severing_proxy(int(hub.port)) as proxy:
            arguments = ["exec", "--task", "t", "--url", f"ws://127.0.0.1:{proxy.port}", "--", "cat"]
            async with running(*arguments) as process:
                for cut in range(5):
                    await cat_lines(process, range(cut * 100, cut * 100 + 100))
                    await kept(hub.url, 1, "agent.output", key="t")
                    proxy.cut()
                await process.close_stdin()
                ended = await process.ended()
            assert ended.status == 0
            assert await told_by(hub.url, "t") == "".join(f"{number}\n" for number in range(500))
            assert await ends(hub.url, "t") == ["completed"]


async def test_a_hub_away_after_the_end_can_be_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as hub:
        async with running("exec", "--task", "t", "--url", hub.url, "--", "cat") as process:
            await process.type("before\n")
            await kept(hub.url, 1, "agent.output", key="t")
            await hub.kill()
            await process.until("connection lost")
            await process.close_stdin()
            await process.until("waiting for the hub")
            process.process.send_signal(signal.SIGINT)
            await process.until("once more gives them up")
            process.process.send_signal(signal.SIGINT)
            ended = await process.ended()
    assert ended.status == 0
    assert "not delivered" in ended.err
    assert "Traceback" not in ended.err


async def test_a_refused_event_is_told_once_and_the_command_goes_on(tmp_path: Path) -> None:
    config = "[auth.roles.anonymous]\npublish = []\n"
    async with serving(tmp_path, "[auth]\nallow_anonymous = true\n" + config + TOKENS) as hub:
        code = "for number in range(50): print(number)"
        ended = await adohub("exec", "--task", "t", "--url", hub.url, "--", *PYTHON, code)
    assert ended.status == 0
    assert len(ended.lines) == 50
    assert 0 < len(ended.err.splitlines()) <= 3
    assert all("the hub refused an event" in line for line in ended.err.splitlines())


TOKENS = f'[[auth.tokens]]\nname = "ci"\nsha256 = "{"0" * 64}"\nroles = []\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--", "true"], "--task"),
        (["--task", "t"], "CMD"),
        (["--task", "", "--", "true"], "--task"),
        (["--task", "t", "--phse", "test", "--", "true"], "--phse"),
        (["--task", "t", "--phase", "tset", "--", "true"], "tset"),
        (["--task", "t", "--progress-regex", "(", "--", "true"], "not a regular expression"),
        (["--task", "t", "--progress-regex", "x", "--", "true"], "group"),
        (["--task", "t", "--url", "ftp://x", "--", "true"], "ftp"),
    ],
)
async def test_what_it_cannot_use_is_told_plainly(arguments: list[str], words: str) -> None:
    ended = await adohub("exec", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


async def test_who_watches_sees_it_live(hub_url: str) -> None:
    await publish(hub_url, ("task.progress", progress("ex-live", 0)))
    async with running("watch", "ex-live", "--url", hub_url) as watch:
        async with running("exec", "--task", "ex-live", "--url", hub_url, "--", "cat") as process:
            await process.type("1/4\n")
            await watch.until("25%")
            await process.close_stdin()
            assert (await watch.ended()).status == 0
