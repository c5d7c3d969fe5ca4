"""`adohub serve`: where its configuration is from, its ready line, its signals, and what it refuses."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from tests.cli.processes import DEADLINE_S, adohub, ready, running, serving

BROKEN_PLUGIN = "raise RuntimeError('no luck today')\n"


def config_with_socket(file: Path, socket: Path) -> None:
    """A configuration that can be told by its second address."""
    file.write_text(f'[server]\nport = 0\nunix_socket = "{socket}"\n')


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    folder = tmp_path / "s"
    folder.mkdir()
    return folder


async def test_the_named_file_comes_before_the_variable_and_that_before_the_folders(
    tmp_path: Path, sockets: Path
) -> None:
    for name in ("named", "variable", "adohub"):
        config_with_socket(tmp_path / f"{name}.toml", sockets / name)
    env = {"ADOHUB_CONFIG": str(tmp_path / "variable.toml")}
    for arguments, variables, expected in [
        (["--config", "named.toml"], env, "named"),
        ([], env, "variable"),
        ([], {}, "adohub"),
    ]:
        async with running("serve", *arguments, cwd=tmp_path, env=variables) as process:
            assert (await ready(process)).unix_url == f"unix://{sockets / expected}"


async def test_host_and_port_come_before_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text('[server]\nhost = "127.0.0.9"\nport = 1\n')
    async with running("serve", "--config", str(config), "--host", "127.0.0.2", "--port", "0") as process:
        hub = await ready(process)
        assert hub.url.startswith("ws://127.0.0.2:")
        assert hub.port not in ("0", "1")
        assert (await adohub("status", "--url", hub.url)).status == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_it_well(tmp_path: Path, signum: signal.Signals) -> None:
    async with serving(tmp_path) as hub:
        async with running("watch", "t", "--url", hub.url) as client:
            await client.until("waiting")
            hub.run.process.send_signal(signum)
            ended = await hub.run.ended()
            await client.until("connection lost")
    assert ended.status == 0
    assert len(ended.lines) == 1
    assert "Traceback" not in ended.err


async def test_ctrl_c_at_its_terminal_ends_it_well(tmp_path: Path) -> None:
    async with running("serve", "--port", "0", terminal=(24, 80), cwd=tmp_path) as process:
        await ready(process)
        await process.type("\x03")
        ended = await process.ended()
    assert ended.status == 0
    assert "Aborted" not in ended.out
    assert "Traceback" not in ended.out


async def test_a_hangup_does_not_end_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as hub:
        hub.run.process.send_signal(signal.SIGHUP)
        await hub.run.until("nothing to reload")
        assert (await adohub("status", "--url", hub.url)).status == 0


async def test_it_serves_a_unix_socket_and_removes_it_at_its_end(tmp_path: Path, sockets: Path) -> None:
    socket = sockets / "hub"
    async with serving(tmp_path, f'[server]\nunix_socket = "{socket}"\n') as hub:
        assert hub.unix_url == f"unix://{socket}"
        status = await adohub("status", "--url", hub.unix_url)
        assert (status.status, status.err) == (0, "")
        assert status.out.startswith(f"unix://{socket}: ok")
        hub.run.process.send_signal(signal.SIGTERM)
        assert (await hub.run.ended()).status == 0
    assert not socket.exists()


async def test_a_public_address_needs_an_authenticator(tmp_path: Path) -> None:
    ended = await adohub("serve", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert (ended.status, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert line.startswith("server.host: ")
    assert "allow_anonymous" in line


async def test_every_fault_of_the_configuration_is_a_line(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text('[server]\nport = "x"\nhots = "h"\n[logging]\nlevel = "loud"\n')
    ended = await adohub("serve", "--config", str(config))
    assert (ended.status, ended.out) == (2, "")
    assert sorted(line.split(": ")[:2] for line in ended.err.splitlines()) == [
        [str(config), "logging.level"],
        [str(config), "server.hots"],
        [str(config), "server.port"],
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "none.toml"], "none.toml: no such file"),
        (["--port", "65536"], "--port"),
        (["--port", "x"], "--port"),
        (["--host", "256.1.1.1", "--port", "0"], "256.1.1.1"),
        (["extra"], "extra"),
    ],
)
async def test_what_it_cannot_use_is_told_plainly(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = await adohub("serve", *arguments, cwd=tmp_path)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


async def test_a_port_in_use_is_told_plainly(tmp_path: Path) -> None:
    async with serving(tmp_path) as hub:
        ended = await adohub("serve", "--port", hub.port, cwd=tmp_path)
    assert ended.status == 2
    [line] = ended.err.splitlines()
    assert hub.port in line


async def test_a_broken_plugin_is_named_and_left_out(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "unlucky.py").write_text(BROKEN_PLUGIN)
    async with serving(tmp_path, f'[plugins]\ndirectories = ["{plugins}"]\n') as hub:
        assert "unlucky" in hub.run.err
        assert "no luck today" in hub.run.err
        assert "Traceback" not in hub.run.err
        status = await adohub("status", "--url", hub.url)
    assert any("unlucky" in line and "(failed)" in line for line in status.lines)


async def test_under_strict_a_broken_plugin_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "unlucky.py").write_text(BROKEN_PLUGIN)
    config = tmp_path / "hub.toml"
    config.write_text(f'[plugins]\nstrict = true\ndirectories = ["{tmp_path}"]\n')
    ended = await adohub("serve", "--config", str(config))
    assert (ended.status, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert "unlucky" in line
    assert "no luck today" in line


async def test_nobody_reading_its_ready_line_does_not_stop_it(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub:
            await hub.run.stop_reading()
            assert (await adohub("status", "--url", hub.url)).status == 0
            hub.run.process.send_signal(signal.SIGTERM)
            assert await hub.run.process.wait() == 0


async def test_its_log_has_colours_only_on_a_terminal_that_is_to_have_them(tmp_path: Path) -> None:
    for env, coloured in [({}, True), ({"NO_COLOR": "1"}, False)]:
        async with running("serve", "--port", "0", terminal=(24, 80), cwd=tmp_path, env=env) as process:
            await ready(process)
            process.process.send_signal(signal.SIGTERM)
            ended = await process.ended()
        assert "draining" in ended.out
        assert ("\x1b[" in ended.out) is coloured
