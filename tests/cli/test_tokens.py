"""A hub that wants a credential: making tokens, `--token`, what those who lack one, or rights, are told."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.processes import Hub, adohub, progress, running, serving

TOKENS = {"writer": "w-secret", "reader": "r-secret"}
ROLES = """
[auth.roles.writer]
publish = ["task.**", "agent.**"]
[auth.roles.reader]
subscribe = ["task.**", "agent.**"]
"""


@asynccontextmanager
async def guarded_hub(folder: Path) -> AsyncIterator[Hub]:
    tokens = "".join(
        f'[[auth.tokens]]\nname = "{role}"\nroles = ["{role}"]\n'
        f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
        for role, token in TOKENS.items()
    )
    async with serving(folder, tokens + ROLES) as hub:
        yield hub


def with_token(role: str) -> list[str]:
    return ["--token", TOKENS[role]]


async def test_roles_decide_who_may_publish_and_who_may_watch(tmp_path: Path) -> None:
    async with guarded_hub(tmp_path) as hub:
        env = {"ADOHUB_URL": hub.url}
        async with running("watch", "t", *with_token("reader"), env=env) as watch:
            await watch.until("waiting")
            echo = ["--", "echo", "hi"]
            told = await adohub("exec", "--task", "t", *with_token("writer"), *echo, env=env)
            assert (told.status, told.out, told.err) == (0, "hi\n", "")
            seen = await watch.ended()
        assert seen.status == 0
        assert "hi" in seen.lines
        refused = await adohub(
            "publish", "task.progress", json.dumps(progress("t", 1)), *with_token("reader"), env=env
        )
        assert (refused.status, refused.out) == (1, "")
        assert len(refused.err.splitlines()) == 1
        unseen = await adohub("watch", "t", *with_token("writer"), env=env)
        assert (unseen.status, unseen.out) == (1, "")
        assert len(unseen.err.splitlines()) == 1


async def test_the_token_comes_from_the_environment_as_well(tmp_path: Path) -> None:
    async with guarded_hub(tmp_path) as hub:
        payload = json.dumps(progress("t", 1))
        env = {"ADOHUB_URL": hub.url, "ADOHUB_TOKEN": TOKENS["writer"]}
        assert (await adohub("publish", "task.progress", payload, env=env)).status == 0


@pytest.mark.parametrize("credential", [[], ["--token", "wrong"], ["--token", "not ascii: é"]])
async def test_without_the_right_token_one_line_says_so(tmp_path: Path, credential: Sequence[str]) -> None:
    mark = tmp_path / "it-ran"
    async with guarded_hub(tmp_path) as hub:
        for command in (
            ["status"],
            ["watch", "t"],
            ["tail"],
            ["publish", "task.progress", "{}"],
            ["exec", "--task", "t", "--", "touch", str(mark)],
        ):
            name, *rest = command
            ended = await adohub(name, "--url", hub.url, *credential, *rest)
            assert (ended.status, ended.out) == (1, ""), ended.err
            [line] = ended.err.splitlines()
            assert line.startswith("adohub: ")
            assert "wrong" not in line
    assert not mark.exists()


# ── token new ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_token_is_let_in_once_its_toml_is_pasted(tmp_path: Path) -> None:
    made = await adohub("token", "new", "--name", "new", "--role", "writer", "--role", "reader", cwd=tmp_path)
    token, empty, *toml = made.out.splitlines()
    assert (made.status, empty, made.err) == (0, "", "")
    async with serving(tmp_path, "\n".join(toml) + ROLES) as hub:
        publishing = ["publish", "task.progress", json.dumps(progress("t", 1)), "--url", hub.url]
        assert (await adohub(*publishing, "--token", token)).status == 0
        assert (await adohub(*publishing, "--token", token[:-1])).status == 1
        assert token not in hub.run.err


async def test_no_two_tokens_are_alike_and_the_configuration_holds_none(tmp_path: Path) -> None:
    tokens = []
    for _ in range(3):
        made = json.loads((await adohub("token", "new", "--name", "n", "--role", "r", "--json")).out)
        assert made["sha256"] == hashlib.sha256(made["token"].encode()).hexdigest()
        assert (made["name"], made["roles"]) == ("n", ["r"])
        tokens.append(made["token"])
    assert len(set(tokens)) == 3
    assert {len(token) for token in tokens} == {4 + 43}


async def test_names_are_written_as_toml_has_them(tmp_path: Path) -> None:
    odd = 'a "quoted" \\ näme'
    made = await adohub("token", "new", "--name", odd, "--role", odd)
    parsed = tomllib.loads(made.out.partition("\n\n")[2])
    assert [(token["name"], token["roles"]) for token in parsed["auth"]["tokens"]] == [(odd, [odd])]


async def test_what_will_not_work_is_said(tmp_path: Path) -> None:
    path = tmp_path / "adohub.toml"
    path.write_text(ROLES + f'[[auth.tokens]]\nname = "ci"\nsha256 = "{"0" * 64}"\nroles = []\n')
    made = await adohub("token", "new", "--name", "ci", "--role", "reeder", "--config", str(path))
    assert made.status == 0
    assert f'{path} has a token named "ci" already' in made.err
    assert 'no role "reeder" yet' in made.err
    assert 'did you mean "reader"' in made.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "--name"), (["--name", "n"], "--role"), (["--name", "", "--role", "r"], "it is empty")],
)
async def test_what_is_missing_is_named(arguments: list[str], words: str) -> None:
    made = await adohub("token", "new", *arguments)
    assert (made.status, made.out) == (2, "")
    assert words in made.err
