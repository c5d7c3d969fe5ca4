"""`adohub status`: what a running hub says of itself."""

from __future__ import annotations

import json

from tests.cli.processes import adohub

SECRET = "sesame-sesame"


async def test_it_names_what_the_hub_carries(hub_url: str) -> None:
    ended = await adohub("status", "--url", hub_url)
    assert (ended.status, ended.err) == (0, "")
    assert ended.lines[0].startswith(f"{hub_url}: ok, version ")
    words = ended.out.split()
    assert {"memory", "task.progress", "deploy.release", "stream.onEvent", "deploy.onRelease"} <= set(words)


async def test_json_is_one_object_of_health_and_info(hub_url: str) -> None:
    ended = await adohub("status", "--json", "--url", hub_url)
    [line] = ended.lines
    assert set(json.loads(line)) == {
        *("status", "version", "instance", "uptime"),
        *("channels", "topics", "plugins", "engine", "schemaHash"),
    }


async def test_the_address_comes_from_the_environment_unless_it_is_given(hub_url: str) -> None:
    for arguments, url, status in [
        ([], hub_url, 0),
        (["--url", hub_url], "ws://127.0.0.1:1", 0),
        (["--url", "ws://127.0.0.1:1"], hub_url, 69),
    ]:
        assert (await adohub("status", *arguments, env={"ADOHUB_URL": url})).status == status


async def test_what_may_be_secret_in_an_address_is_not_shown(hub_url: str) -> None:
    host = hub_url.removeprefix("ws://")
    ended = await adohub("status", "--url", f"ws://me:{SECRET}@{host}/trpc?token={SECRET}")
    assert ended.status == 0
    assert SECRET not in ended.out + ended.err
    ended = await adohub("status", "--url", f"ws://me:{SECRET}@127.0.0.1:1/trpc?token={SECRET}")
    assert ended.status == 69
    assert SECRET not in ended.out + ended.err


async def test_an_address_that_is_none_is_told_plainly() -> None:
    for url in ("ftp://localhost", "unix://relative", "ws://", "ws://h:port"):
        ended = await adohub("status", "--url", url)
        assert (ended.status, ended.out) == (2, "")
        [line] = ended.err.splitlines()
        assert url in line
