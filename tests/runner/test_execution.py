"""Real commands, run and told of: output, progress, signals, ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from adohub.runner import run, signals
from adohub.runner.report import pieces
from adohub.runner.spool import Spool
from tests.runner.recording import Recorder

DEADLINE_S = 30


async def run_python(code: str, recorder: Recorder, **options: Any) -> int:
    with trio.fail_after(DEADLINE_S):
        return await run(recorder, [sys.executable, "-u", "-c", code], task="t", **{"echo": False, **options})


async def test_output_progress_and_completion_are_told_in_order() -> None:
    recorder = Recorder()
    code = "print('hello'); print('[test] 40/80 halfway')"
    assert await run_python(code, recorder, agent="a1", phase="spec") == 0
    assert recorder.text() == "hello\n[test] 40/80 halfway\n"
    progress = [
        (event["phase"], event["progress"], event["message"]) for event in recorder.of("task.progress")
    ]
    assert progress[0][:2] == ("spec", 0.0)
    assert progress[0][2].startswith(sys.executable)
    assert progress[1:] == [("test", 50.0, "halfway"), ("test", 100.0, "halfway")]
    completed = recorder.events[-1]
    assert completed["topic"] == "task.completed"
    assert isinstance(completed.pop("duration"), int)
    assert completed == {"topic": "task.completed", "taskId": "t", "status": "completed", "artifacts": []}
    assert {event["agentId"] for event in recorder.of("agent.output")} == {"a1"}
    assert all(event["timestamp"].endswith("Z") for event in recorder.of("agent.output"))


async def test_the_exit_status_is_the_commands_and_failure_is_told() -> None:
    recorder = Recorder()
    code = "import sys; print('50%'); sys.stderr.write('no'); sys.exit(3)"
    assert await run_python(code, recorder) == 3
    assert recorder.text("stderr") == "no"
    assert recorder.completions == ["failed"]
    assert recorder.of("task.progress")[-1]["progress"] == 50.0


async def test_death_by_a_signal_is_128_and_its_number() -> None:
    recorder = Recorder()
    assert await run_python("import os; os.kill(os.getpid(), 9)", recorder) == 137
    assert recorder.completions == ["failed"]


async def test_a_missing_command_is_told_and_is_127(capfd: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    with trio.fail_after(DEADLINE_S):
        assert await run(recorder, ["no-such-command-here"], task="t") == 127
    assert recorder.text("stderr") == "no-such-command-here: command not found\n"
    assert recorder.completions == ["failed"]
    assert capfd.readouterr().err == "adohub exec: no-such-command-here: command not found\n"


@pytest.mark.parametrize("mode", [stat.S_IRUSR, stat.S_IRWXU])
async def test_what_cannot_be_executed_is_126(mode: int, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00not a program")
    program.chmod(mode)
    recorder = Recorder()
    with trio.fail_after(DEADLINE_S):
        assert await run(recorder, [str(program)], task="t") == 126
    assert recorder.completions == ["failed"]


async def test_characters_split_between_reads_are_whole_and_broken_ones_replaced() -> None:
    recorder = Recorder()
    code = (
        "import os, time\n"
        "for byte in 'gr\u00fc\u00dfe \U0001f600'.encode(): os.write(1, bytes([byte])); time.sleep(0.01)\n"
        "os.write(1, b'\\xff|'); os.write(1, '\u00fc'.encode()[:1])"
    )
    assert await run_python(code, recorder) == 0
    assert recorder.text() == "gr\u00fc\u00dfe \U0001f600\ufffd|\ufffd"


async def test_a_partial_last_line_is_not_lost() -> None:
    recorder = Recorder()
    assert await run_python("import sys; sys.stdout.write('1/4\\n3/4'); sys.exit(1)", recorder) == 1
    assert recorder.text() == "1/4\n3/4"
    assert recorder.of("task.progress")[-1]["progress"] == 75.0


async def test_much_output_arrives_whole_and_in_order() -> None:
    recorder = Recorder()
    assert await run_python("for n in range(100_000): print(n)", recorder) == 0
    assert recorder.text() == "".join(f"{n}\n" for n in range(100_000))


async def test_output_is_echoed_to_our_own_streams(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os; os.write(1, b'out'); os.write(2, b'err')"
    assert await run_python(code, Recorder(), echo=True) == 0
    assert capfd.readouterr() == ("out", "err")


async def test_progress_is_told_at_most_ten_times_a_second_and_the_last_always() -> None:
    recorder = Recorder()
    assert await run_python("for n in range(1, 1001): print(f'{n}/1001')\nraise SystemExit(1)", recorder) == 1
    told = [event["progress"] for event in recorder.of("task.progress")]
    seconds = recorder.of("task.completed")[0]["duration"] / 1000
    assert len(told) <= 3 + seconds * 10
    assert told[-1] == 99.9


async def test_held_progress_is_told_although_nothing_newer_comes() -> None:
    recorder = Recorder()
    code = "print('10%'); print('20%'); input()"
    read_end, write_end = os.pipe()
    stdin = os.dup(0)
    os.dup2(read_end, 0)
    try:
        async with running(recorder, code) as status:
            await until(lambda: [e["progress"] for e in recorder.of("task.progress")][-1:] == [20.0])
            os.write(write_end, b"\n")
        assert status == [0]
    finally:
        os.dup2(stdin, 0)
        for descriptor in (stdin, read_end, write_end):
            os.close(descriptor)


@asynccontextmanager
async def running(recorder: Recorder, code: str, **options: Any) -> AsyncIterator[list[int]]:
    """Runs `code` beside the block, which it outlives; the list then holds its status."""
    status: list[int] = []

    async def keep() -> None:
        status.append(await run_python(code, recorder, **options))

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep)
            yield status


async def until(condition: Any) -> None:
    """Waits for something another process brings about; the deadline is the caller's."""
    while not condition():  # noqa: ASYNC110 - what it waits for sets no event
        await trio.sleep(0.01)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
async def test_signals_are_passed_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "in_foreground", lambda: False)
    recorder = Recorder()
    code = (
        "import signal, sys\n"
        f"signal.signal(signal.{name}, lambda *_: sys.exit(42))\n"
        "print('ready')\n"
        "signal.pause()"
    )
    async with running(recorder, code) as status:
        await until(lambda: recorder.text() == "ready\n")
        os.kill(os.getpid(), getattr(signal, name))
    assert status == [42]
    assert recorder.completions == ["failed"]


async def test_what_a_terminal_gave_the_command_already_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "in_foreground", lambda: True)
    assert not signals.is_for_us_to_pass_on(signal.SIGINT)
    assert not signals.is_for_us_to_pass_on(signal.SIGQUIT)
    assert signals.is_for_us_to_pass_on(signal.SIGTERM)
    assert signals.is_for_us_to_pass_on(signal.SIGHUP)


async def test_a_typed_ctrl_c_reaches_the_command_once() -> None:
    """Exec in the foreground of a real terminal: the terminal signals both, and exec adds none of its own."""
    command = (
        "import signal, time\n"
        "caught = []\n"
        "signal.signal(signal.SIGINT, lambda *_: caught.append(1))\n"
        "print('ready', flush=True)\n"
        "while not caught: signal.pause()\n"
        "time.sleep(0.5)\n"
        "raise SystemExit(10 + len(caught))"
    )
    foreground = (
        "import fcntl, sys, termios, trio\n"
        "from adohub.runner import run\n"
        "from tests.runner.recording import Recorder\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        f"raise SystemExit(trio.run(lambda: run(Recorder(), [sys.executable, '-c', {command!r}], task='t')))"
    )
    keyboard, terminal = os.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with trio.fail_after(DEADLINE_S):
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", foreground],
            stdin=terminal,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
        try:
            assert process.stdout is not None
            assert (await process.stdout.receive_some()).startswith(b"ready")
            os.write(keyboard, b"\x03")
            assert await process.wait() == 11
        finally:
            process.kill()
            await process.wait()
            os.close(keyboard)
            os.close(terminal)


async def test_a_full_spool_pauses_the_command_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "adohub.runner.execution.Spool",
        partial(Spool, max_bytes=100_000),
    )
    recorder = Recorder()
    recorder.away()
    paused = tmp_path / "paused"
    total, line = 2000, 1000
    code = (
        "import os, pathlib, select\n"
        f"for n in range({total}):\n"
        f"    if not select.select([], [1], [], 0.2)[1]: pathlib.Path({str(paused)!r}).touch()\n"
        f"    os.write(1, f'{{n:06}}'.ljust({line - 1}, '.').encode() + b'\\n')"
    )
    async with running(recorder, code) as status:
        await until(paused.exists)
        assert recorder.events == []
        recorder.back()
    assert status == [0]
    assert recorder.text() == "".join(f"{n:06}".ljust(line - 1, ".") + "\n" for n in range(total))
    assert recorder.completions == ["completed"]


async def test_a_grandchild_that_keeps_the_pipe_does_not_keep_exec() -> None:
    recorder = Recorder()
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)"
    )
    assert await run_python(code, recorder) == 0
    pid = int(recorder.text())
    os.kill(pid, signal.SIGKILL)
    assert recorder.completions == ["completed"]


async def test_what_the_command_wrote_is_read_although_a_grandchild_keeps_the_pipe_and_the_hub_is_away(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adohub.runner.execution.MENTION_S", 0.0)
    monkeypatch.setattr("adohub.runner.execution.Spool", partial(Spool, max_events=2))
    monkeypatch.setattr("adohub.runner.process.EOF_GRACE_S", 0.0)
    monkeypatch.setattr("adohub.runner.process.READ_BYTES", 10)
    recorder = Recorder()
    recorder.away()
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, 'x' * 30_000)"
    )
    async with running(recorder, code) as status:
        await until(lambda: "waiting for the hub" in capfd.readouterr().err)
        recorder.back()
    assert status == [0]
    pid, rest = recorder.text().split()
    os.kill(int(pid), signal.SIGKILL)
    assert rest == "x" * 30_000


async def test_a_pty_is_a_terminal_and_its_output_is_read_to_the_end() -> None:
    recorder = Recorder()
    code = "import os, sys; print(os.isatty(1), os.isatty(2)); sys.stderr.write('e' * 9999)"
    assert await run_python(code, recorder, pty=True) == 0
    first, rest = recorder.text().split("\r\n")
    assert first == "True True"
    assert rest == "e" * 9999
    assert recorder.text("stderr") == ""
    assert recorder.completions == ["completed"]


async def test_a_new_window_size_reaches_the_command_on_a_pty(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(24, 80), (50, 132)]
    monkeypatch.setattr("adohub.runner.terminal._own_size", lambda: sizes.pop(0))
    recorder = Recorder()
    code = (
        "import os, signal, sys\n"
        "show = lambda *_: (print(*os.get_terminal_size(1)), len(sys.argv) and sys.exit(0))\n"
        "signal.signal(signal.SIGWINCH, show)\n"
        "print(*os.get_terminal_size(1))\n"
        "signal.pause()"
    )
    async with running(recorder, code, pty=True) as status:
        await until(lambda: recorder.text() == "80 24\r\n")
        os.kill(os.getpid(), signal.SIGWINCH)
    assert status == [0]
    assert recorder.text() == "80 24\r\n132 50\r\n"


async def test_completion_waits_for_an_absent_hub(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adohub.runner.execution.MENTION_S", 0.0)
    recorder = Recorder()
    recorder.away()
    async with running(recorder, "print('x')") as status:
        await until(lambda: "waiting for the hub" in capfd.readouterr().err)
        assert status == []
        recorder.back()
    assert status == [0]
    assert recorder.completions == ["completed"]


async def test_the_second_signal_after_the_end_gives_up_what_is_not_delivered(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("adohub.runner.execution.MENTION_S", 0.0)
    recorder = Recorder()
    recorder.away()
    said: list[str] = []

    def heard(text: str) -> bool:
        said.append(capfd.readouterr().err)
        return text in "".join(said)

    async with running(recorder, "raise SystemExit(5)") as status:
        await until(lambda: heard("waiting for the hub"))
        os.kill(os.getpid(), signal.SIGINT)
        await until(lambda: heard("once more gives them up"))
        assert status == []
        os.kill(os.getpid(), signal.SIGINT)
    assert status == [5]
    assert heard("gave up waiting for the hub: 2 events were not delivered")
    assert recorder.events == []


async def test_a_cancelled_run_takes_its_command_along() -> None:
    recorder = Recorder()
    code = "import os, time; print(os.getpid()); time.sleep(60)"
    with trio.CancelScope() as scope:
        async with running(recorder, code):
            await until(recorder.text)
            scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(int(recorder.text()), 0)


@pytest.mark.parametrize("text", ["", "a", "abc" * 100, "\x1b" * 100, "\u00fc" * 99])
def test_long_content_is_split_and_loses_nothing(text: str) -> None:
    parts = list(pieces(text, limit=50))
    assert "".join(parts) == text
    assert all(len(orjson.dumps(part)) <= 50 for part in parts)
    assert "" not in parts
