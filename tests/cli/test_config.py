"""`adohub config`: init never overwrites, check tells every fault, show masks secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.cli.processes import adohub

SECRET = "a" * 64


async def test_init_writes_a_file_that_checks_and_is_the_default(tmp_path: Path) -> None:
    ended = await adohub("config", "init", cwd=tmp_path)
    assert (ended.status, ended.out, ended.err) == (0, "wrote adohub.toml\n", "")
    checked = await adohub("config", "check", cwd=tmp_path)
    assert (checked.status, checked.out, checked.err) == (0, "adohub.toml: ok\n", "")
    shown = await adohub("config", "show", cwd=tmp_path)
    (tmp_path / "adohub.toml").unlink()
    assert shown.out == (await adohub("config", "show", cwd=tmp_path)).out


async def test_init_never_overwrites_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("precious")
    ended = await adohub("config", "init", "--config", str(file))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"{file}: ")
    assert "--force" in ended.err
    assert file.read_text() == "precious"
    assert (await adohub("config", "init", "--force", "--config", str(file))).status == 0
    assert file.read_text() != "precious"


async def test_init_says_where_it_cannot_write(tmp_path: Path) -> None:
    ended = await adohub("config", "init", "--config", str(tmp_path / "none" / "x.toml"))
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1


async def test_check_tells_every_fault_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "adohub.toml").write_text('[server]\nprot = 1\nport = "x"\n[storage]\nengine = "nosql"\n')
    ended = await adohub("config", "check", cwd=tmp_path, env={"ADOHUB__LOGGING__LEVEL": "loud"})
    assert (ended.status, ended.out) == (2, "")
    assert sorted(line.split(": ")[:2] for line in ended.err.splitlines()) == [
        ["ADOHUB__LOGGING__LEVEL", "logging.level"],
        ["adohub.toml", "server.port"],
        ["adohub.toml", "server.prot"],
    ]
    assert 'did you mean "port"?' in ended.err


async def test_check_tells_what_only_plugins_know(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('no luck today')\n")
    for strict in ("true", "false"):
        config = f'[storage]\nengine = "nosql"\n[plugins]\nstrict = {strict}\ndirectories = ["{tmp_path}"]\n'
        (tmp_path / "adohub.toml").write_text(config)
        ended = await adohub("config", "check", cwd=tmp_path)
        assert (ended.status, ended.out) == (2, "")
        first, second, engine = ended.err.splitlines()
        assert first.startswith("adohub.toml: plugin first: ")
        assert second.startswith("adohub.toml: plugin second: ")
        assert engine.startswith("adohub.toml: storage.engine: ")


async def test_a_file_that_is_no_toml_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "adohub.toml").write_text("[server\n")
    for what in ("check", "show"):
        ended = await adohub("config", what, cwd=tmp_path)
        assert (ended.status, ended.out) == (2, "")
        [line] = ended.err.splitlines()
        assert line.startswith("adohub.toml: ")


async def test_show_is_what_is_in_force_with_secrets_masked(tmp_path: Path) -> None:
    (tmp_path / "adohub.toml").write_text(
        f'[server]\nport = 4000\nhost = "127.0.0.5"\n[[auth.tokens]]\nname = "ci"\nsha256 = "{SECRET}"\n'
    )
    env = {"ADOHUB__SERVER__PORT": "4001"}
    ended = await adohub("config", "show", cwd=tmp_path, env=env)
    assert (ended.status, ended.err) == (0, "")
    assert SECRET not in ended.out
    shown = tomllib.loads(ended.out)
    assert (shown["server"]["port"], shown["server"]["host"]) == (4001, "127.0.0.5")
    assert shown["auth"]["tokens"][0]["name"] == "ci"


async def test_an_unknown_variable_is_a_fault(tmp_path: Path) -> None:
    ended = await adohub("config", "check", cwd=tmp_path, env={"ADOHUB__SERVER__PROT": "1"})
    assert ended.status == 2
    assert 'did you mean "ADOHUB__SERVER__PORT"?' in ended.err


async def test_check_refuses_what_serve_would_refuse_to_expose(tmp_path: Path) -> None:
    (tmp_path / "adohub.toml").write_text('[server]\nhost = "0.0.0.0"\n')
    ended = await adohub("config", "check", cwd=tmp_path)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("adohub.toml: server.host: other machines can reach 0.0.0.0")
