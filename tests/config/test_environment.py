"""Any key can be set by a variable, and no variable is ignored."""

from __future__ import annotations

from typing import Any

import pytest

from adohub.config import Config
from adohub.config.environment import lay_over
from tests.config.strategies import leaf_keys


def laid(environ: dict[str, str], tree: dict[str, Any] | None = None) -> dict[str, Any]:
    """`tree` with `environ` over it; there must be no problem."""
    tree = {} if tree is None else tree
    _, problems = lay_over(tree, environ)
    assert problems == []
    return tree


def problems(environ: dict[str, str], tree: dict[str, Any] | None = None) -> list[str]:
    """What is wrong with `environ`."""
    return [str(problem) for problem in lay_over({} if tree is None else tree, environ)[1]]


@pytest.mark.parametrize(
    ("name", "text", "tree"),
    [
        ("ADOHUB__SERVER__PORT", "3002", {"server": {"port": 3002}}),
        ("ADOHUB__server__Port", "3002", {"server": {"port": 3002}}),
        ("ADOHUB__SERVER__HOST", "0.0.0.0", {"server": {"host": "0.0.0.0"}}),
        ("ADOHUB__SERVER__ALLOWED_ORIGINS", '["*"]', {"server": {"allowed_origins": ["*"]}}),
        ("ADOHUB__STORAGE__SQLITE__PATH", "/a/b.db", {"storage": {"sqlite": {"path": "/a/b.db"}}}),
        ("ADOHUB__STORAGE__NATS__URL", "nats://a", {"storage": {"nats": {"url": "nats://a"}}}),
        ("ADOHUB__AUTH__ROLES__CI__PUBLISH", '["a.**"]', {"auth": {"roles": {"ci": {"publish": ["a.**"]}}}}),
        ("ADOHUB__AUTH__TOKENS", "[{name = 'a'}]", {"auth": {"tokens": [{"name": "a"}]}}),
        ("ADOHUB__PLUGIN__JWT__ISSUER", "me", {"plugin": {"jwt": {"issuer": "me"}}}),
        ("ADOHUB__PLUGIN__JWT__KEYS__URL", "a", {"plugin": {"jwt": {"keys": {"url": "a"}}}}),
    ],
)
def test_a_variable_sets_its_key(name: str, text: str, tree: dict[str, Any]) -> None:
    assert laid({name: text}) == tree


def test_every_key_there_is_can_be_set() -> None:
    for path, _ in leaf_keys(Config()):
        tree: Any = laid({"__".join(("ADOHUB", *path)).upper(): "true"})
        for step in path:
            tree = tree[step]
        assert tree is True


def test_names_of_the_file_are_found_again() -> None:
    tree = laid(
        {
            "ADOHUB__CHANNELS__DEPLOY_ONRELEASE__REPLAY": "all",
            "ADOHUB__PLUGIN__MY_PLUGIN__MAX_AGE": "5",
            "ADOHUB__AUTH__ROLES__RELEASE_TEAM__ADMIN": "true",
        },
        {
            "channels": {"deploy.onRelease": {"replay": "last"}},
            "plugin": {"my-plugin": {"max-age": 4}},
            "auth": {"roles": {"Release team": {}}},
        },
    )
    assert tree == {
        "channels": {"deploy.onRelease": {"replay": "all"}},
        "plugin": {"my-plugin": {"max-age": 5}},
        "auth": {"roles": {"Release team": {"admin": True}}},
    }


def test_variables_that_are_no_keys_are_left_alone() -> None:
    environ = dict.fromkeys(
        ("ADOHUB_CONFIG", "ADOHUB_URL", "ADOHUB_TOKEN", "ADOHUB_TRACE_PLUGINS", "HOME"), "x"
    )
    assert laid(environ) == {}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ADOHUB__SERVER__PROT", 'unknown key (did you mean "ADOHUB__SERVER__PORT"?)'),
        ("ADOHUB__SEVER__PORT", 'unknown key (did you mean "ADOHUB__SERVER__PORT"?)'),
        ("ADOHUB__STORAGE__SQLITE__PTAH", 'unknown key (did you mean "ADOHUB__STORAGE__SQLITE__PATH"?)'),
        ("ADOHUB__STORAGE__MAX_EVENT", 'unknown key (did you mean "ADOHUB__STORAGE__MAX_EVENTS"?)'),
        (
            "ADOHUB__CHANNELS__DEPLOY_ONRELAESE__REPLAY",
            'unknown key (did you mean "ADOHUB__CHANNELS__DEPLOY_ONRELEASE__REPLAY"?)',
        ),
        ("ADOHUB__", "unknown key"),
        ("ADOHUB__SERVER", "unknown key"),
        ("ADOHUB__SERVER__", "unknown key"),
        ("ADOHUB__SERVER__PORT__X", 'unknown key (did you mean "ADOHUB__SERVER__PORT"?)'),
        ("ADOHUB__PLUGIN__JWT", "unknown key"),
        ("ADOHUB__PLUGIN____KEY", "unknown key"),
        ("ADOHUB__STORAGE__ENGINES", 'unknown key (did you mean "ADOHUB__STORAGE__ENGINE"?)'),
    ],
)
def test_an_unknown_variable_is_a_problem_that_names_the_one_meant(name: str, problem: str) -> None:
    told = problems({name: "1"}, {"channels": {"deploy.onRelease": {"replay": "last"}}})
    assert len(told) == 1
    assert told[0].startswith(f"{name}: {problem}")


def test_a_value_that_is_not_finished_is_a_problem() -> None:
    assert problems({"ADOHUB__SERVER__ALLOWED_ORIGINS": "[1,"}) == [
        "ADOHUB__SERVER__ALLOWED_ORIGINS: server.allowed_origins: not a TOML value"
    ]


def test_two_variables_for_one_key_are_a_problem() -> None:
    assert problems({"ADOHUB__SERVER__PORT": "1", "ADOHUB__server__port": "2"}) == [
        "ADOHUB__server__port: server.port: set by ADOHUB__SERVER__PORT already"
    ]


def test_a_key_in_what_is_no_table_is_a_problem() -> None:
    assert problems({"ADOHUB__PLUGIN__A__B": "1", "ADOHUB__PLUGIN__A__B__C": "2"}) == [
        "ADOHUB__PLUGIN__A__B__C: plugin.a.b.c: b is not a table"
    ]
    assert problems({"ADOHUB__SERVER__PORT": "1"}, {"server": 5}) == [
        "ADOHUB__SERVER__PORT: server.port: server is not a table"
    ]


def test_it_is_known_which_variable_set_which_key() -> None:
    setters, _ = lay_over({}, {"ADOHUB__SERVER__PORT": "1", "ADOHUB__SERVER__PROT": "1"})
    assert setters == {("server", "port"): "ADOHUB__SERVER__PORT"}
