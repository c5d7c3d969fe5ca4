"""What holds for every command: help with an example, plain words and exit codes for what users get wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from adohub.version import __version__
from tests.cli.processes import PROGRAM, adohub, environment

COMMANDS = [
    ["serve"],
    ["demo"],
    ["exec"],
    ["watch"],
    ["tail"],
    ["publish"],
    ["status"],
    ["config"],
    ["config", "init"],
    ["config", "check"],
    ["config", "show"],
    ["plugins"],
    ["plugins", "list"],
    ["typegen"],
    ["token"],
    ["token", "new"],
    ["systemd"],
    ["systemd", "install"],
]
CLIENTS = [
    ["exec", "--task", "t", "--", "true"],
    ["watch", "t"],
    ["tail"],
    ["publish", "task.progress", "{}"],
    ["status"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_help_has_an_example(command: list[str]) -> None:
    for option in ("--help", "-h"):
        ended = await adohub(*command, option)
        assert (ended.status, ended.err) == (0, "")
        assert any(f"adohub {' '.join(command)}" in line for line in ended.out.split("Example")[1:])


async def test_help_of_all_names_every_command() -> None:
    ended = await adohub("--help")
    assert ended.status == 0
    listed = [line.split()[0] for line in ended.out.split("Commands:")[1].splitlines() if line]
    assert listed[:12] == [command[0] for command in COMMANDS if len(command) == 1]


async def test_the_version_is_told() -> None:
    assert __version__ in (await adohub("--version")).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Usage"),
        (["stauts"], 'did you mean "status"?'),
        (["status", "extra"], "extra"),
        (["status", "--bogus"], "--bogus"),
        (["watch"], "TASK"),
        (["watch", ""], "TASK"),
        (["watch", "\udcff"], "UTF-8"),
        (["publish"], "TOPIC"),
        (["publish", "", "{}"], "TOPIC"),
        (["config", "bogus"], "bogus"),
        (["config", "check", "--config", "/no/such/file"], "/no/such/file: no such file"),
        (["plugins", "list", "--config", "/no/such/file"], "/no/such/file: no such file"),
        (["typegen", "--config", "/no/such/file"], "/no/such/file: no such file"),
        (["typegen", "--check"], "--out"),
        (["typegen", "--trpc", "9"], "--trpc"),
        (["typegen", "--out", "/no/such/folder/hub.ts"], "/no/such/folder/hub.ts"),
    ],
)
async def test_a_wrong_command_line_exits_2_in_plain_words(arguments: list[str], words: str) -> None:
    ended = await adohub(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", CLIENTS, ids=lambda command: str(command[0]))
async def test_a_hub_that_cannot_be_reached_exits_69_in_one_line(command: list[str], tmp_path: Path) -> None:
    for url in ("ws://127.0.0.1:1", f"unix://{tmp_path}/none", "ws://no-such-host.invalid"):
        name, *rest = command
        ended = await adohub(name, "--url", url, *rest)
        assert (ended.status, ended.out) == (69, "")
        [line] = ended.err.splitlines()
        assert line.startswith(f"adohub: cannot reach a hub at {url}: ")


def test_a_full_disk_is_told_plainly(hub_url: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, "status", "--url", hub_url],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == b"adohub: cannot write to stdout: No space left on device\n"


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_standard_stream_may_be_closed(hub_url: str, descriptor: int) -> None:
    closing = f'exec {descriptor}>&-; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", closing, "sh", *PROGRAM, "status", "--url", hub_url],
        capture_output=True,
        env=environment(),
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) is (descriptor != 1)
