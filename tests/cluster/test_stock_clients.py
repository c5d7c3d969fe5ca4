"""Clients of @trpc that know nothing of epochs: when Redis loses all, they hear of it and go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from adohub_redis.testing import valkey

from tests.cli.processes import serving
from tests.clients.puppet import VERSIONS, Version, Via, puppet

DEADLINE_S = 60

PATHS: list[tuple[Version, Via]] = [(version, "ws") for version in VERSIONS]
PATHS += [("v11.18", "sse"), ("v11", "sse")]

SILENT: list[tuple[Version, Via]] = [("v11", "ws")]
"""Who keeps a second `started` to itself, taking it for its own reconnecting."""


@pytest.mark.parametrize(("version", "via"), PATHS)
async def test_a_client_goes_on_with_the_first_event_after_a_flush(
    version: Version, via: Via, tmp_path: Path
) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server:
            toml = f'[storage]\nengine = "redis"\n[storage.redis]\nurl = "{server.url}"\n'
            async with (
                serving(tmp_path, toml) as hub,
                puppet(version, hub.url, via) as client,
                puppet("v11", hub.url) as author,
            ):

                async def publish(number: int) -> None:
                    output = {"taskId": "t", "agentId": "a", "type": "stdout", "content": str(number)}
                    await author.mutate("events.publish", {"topic": "agent.output", "payload": output})

                output = await client.subscribe("stream.onAgentOutput", {"taskId": "t"})
                await output.until(lambda sub: "started" in sub.events)
                await publish(1)
                await output.until(lambda sub: len(sub.data) == 1)
                await server.command("FLUSHALL")
                await publish(2)
                await output.until(lambda sub: len(sub.data) == 2)
                assert [one["content"] for one in output.data] == ["1", "2"]
                assert output.events.count("started") == (1 if (version, via) in SILENT else 2)
                assert output.errors == []
                assert "complete" not in output.events
