"""A file and an environment become a configuration, or all their problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from adohub.config import Config, DeclaredChannel, Role, Server, Storage, load, locate
from adohub.errors import ConfigError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str) -> Path:
    """./adohub.toml with `text` in it."""
    path = Path("adohub.toml")
    path.write_text(text, encoding="utf-8")
    return path


def problems(text: str, **environ: str) -> list[str]:
    """What is wrong with a file of `text` and the variables of `environ`."""
    with pytest.raises(ConfigError) as caught:
        load(written(text), environ)
    return [str(problem) for problem in caught.value.problems]


def test_without_file_and_variables_there_are_defaults() -> None:
    assert load(None, {}) == Config()
    assert load(written(""), {}) == Config()


def test_a_file_is_read_into_its_classes() -> None:
    config = load(
        written(
            """
            [server]
            port = 3002
            allowed_origins = ["https://example.org"]
            [storage]
            engine = "nats"
            [storage.nats]
            servers = ["a", "b"]
            [auth.roles.publisher]
            publish = ["task.**"]
            [plugin.redis]
            mirror = true
            [channels."deploy.onRelease"]
            topics = ["deploy.release"]
            key = "env"
            replay = "last"
            """
        ),
        {},
    )
    assert config == Config(
        server=Server(port=3002, allowed_origins=("https://example.org",)),
        storage=Storage(engine="nats", engines={"nats": {"servers": ["a", "b"]}}),
        auth=config.auth,
        plugin={"redis": {"mirror": True}},
        channels={"deploy.onRelease": DeclaredChannel(topics=("deploy.release",), key="env", replay="last")},
    )
    assert config.auth.roles == {"publisher": Role(publish=("task.**",))}


def test_the_environment_wins_over_the_file() -> None:
    path = written("[server]\nport = 3002\nhost = 'a'\n")
    config = load(path, {"ADOHUB__SERVER__PORT": "3003", "ADOHUB__STORAGE__ENGINE": "sqlite"})
    assert (config.server.host, config.server.port, config.storage.engine) == ("a", 3003, "sqlite")


def test_all_problems_are_told_at_once_each_with_its_source() -> None:
    text = """
        [server]
        prot = 5
        host = 5
        drain_notice = "reconnect"
        [sever]
        [storage]
        max_event = 5
        [[auth.tokens]]
        name = "ci"
        sha256 = "hunter2"
        [channels."deploy.onRelease"]
        on_slow = "latest"
        """
    later = "is not available in this version"
    digest = "expected 64 hexadecimal digits, the SHA-256 of the token's text"
    channel = 'adohub.toml: channels."deploy.onRelease"'
    assert sorted(problems(text, ADOHUB__SERVER__PORT="x", ADOHUB__SERVER__HSOT="y")) == [
        'ADOHUB__SERVER__HSOT: unknown key (did you mean "ADOHUB__SERVER__HOST"?)',
        'ADOHUB__SERVER__PORT: server.port: expected integer, got "x"',
        f"adohub.toml: auth.tokens[0].sha256: {digest}",
        f"{channel}.topics: required",
        f'adohub.toml: server.drain_notice: "reconnect" {later}; use "close"',
        "adohub.toml: server.host: expected string, got 5",
        'adohub.toml: server.prot: unknown key (did you mean "port"?)',
        'adohub.toml: sever: unknown key (did you mean "server"?)',
        'adohub.toml: storage.max_event: unknown key (did you mean "max_events"?)',
    ]


def test_a_broken_file_does_not_hide_broken_variables() -> None:
    assert problems("[server", ADOHUB__SERVER__PORT="x") == [
        "adohub.toml: line 1, column 8: expected ']' at the end of a table declaration",
        'ADOHUB__SERVER__PORT: server.port: expected integer, got "x"',
    ]


def test_a_misspelt_engine_is_a_problem_and_one_in_use_is_not() -> None:
    assert problems("[storage.sqllite]\npath = 'a'") == [
        'adohub.toml: storage.sqllite: unknown key (did you mean "sqlite"?)'
    ]
    assert problems("", ADOHUB__STORAGE__SQLLITE__PATH="a") == [
        'ADOHUB__STORAGE__SQLLITE__PATH: storage.sqllite: unknown key (did you mean "sqlite"?)'
    ]
    assert load(written("[storage]\nengine = 'sqllite'\n[storage.sqllite]\n"), {}).storage.engines == {
        "sqllite": {}
    }


def test_a_section_that_is_no_table_is_a_problem() -> None:
    assert problems("server = 5\nstorage = []\nchannels = 1") == [
        "adohub.toml: server: expected object, got 5",
        "adohub.toml: storage: expected object, got []",
        "adohub.toml: channels: expected object, got 1",
    ]


def test_a_source_is_the_file_as_it_was_given(here: Path) -> None:
    written("a = 1")
    with pytest.raises(ConfigError) as caught:
        load(here / "adohub.toml", {})
    assert str(caught.value) == f"{here / 'adohub.toml'}: a: unknown key"


def test_the_named_file_is_taken_before_all_others() -> None:
    written("")
    Path("mine.toml").touch()
    Path("theirs.toml").touch()
    environ = {"ADOHUB_CONFIG": "theirs.toml"}
    assert locate("mine.toml", environ) == Path("mine.toml")
    assert locate(None, environ) == Path("theirs.toml")
    assert locate(None, {"ADOHUB_CONFIG": ""}) == Path("adohub.toml")


def test_a_named_file_must_exist() -> None:
    written("")
    with pytest.raises(ConfigError, match=r"^none\.toml: no such file$"):
        locate("none.toml", {})
    with pytest.raises(ConfigError, match=r"^none\.toml: no such file \(named by ADOHUB_CONFIG\)$"):
        locate(None, {"ADOHUB_CONFIG": "none.toml"})


def test_the_usual_places_come_in_order(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = here / "etc" / "adohub.toml"
    monkeypatch.setattr("adohub.config.loading.PLACES", (Path("adohub.toml"), system))
    assert locate(None, {}) is None
    system.parent.mkdir()
    system.touch()
    assert locate(None, {}) == system
    written("")
    assert locate(None, {}) == Path("adohub.toml")
