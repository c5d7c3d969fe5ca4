"""Tokens that expire under a stock client: with a fresh one it goes on, with the old one it stops."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from joserfc import jwk, jwt

from adohub.config import Auth, Config, Role, Server
from adohub.plugin.loader import load
from tests.clients.puppet import Version, puppet
from tests.running import Peer, RunningHub, open_peer, progress, running_hub, until

SECRET = "0123456789abcdef" * 4
LIFE_S = 6.0
"""Of which a quarter may be notice, and more than a second is."""

REJECT_DELAY_S = 0.3

EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])


def token(for_s: float) -> str:
    claims = {"sub": "anna", "aud": "adohub", "exp": time.time() + for_s, "roles": ["worker"]}
    return jwt.encode({"alg": "HS256"}, claims, jwk.OctKey.import_key(SECRET))


@asynccontextmanager
async def guarded_hub(folder: Path) -> AsyncIterator[RunningHub]:
    secret = folder / "secret"
    secret.write_text(SECRET)
    config = Config(
        server=Server(port=0),
        auth=Auth(
            reject_delay_ms=round(1000 * REJECT_DELAY_S),
            expiry_grace_ms=200,
            roles={"worker": Role(publish=("**",), subscribe=("**",))},
        ),
        plugin={"jwt": {"secret_file": str(secret), "audience": ["adohub"], "leeway_s": 0}},
    )
    async with running_hub(config, registry=load(config)) as hub:
        yield hub


@asynccontextmanager
async def publisher(hub: RunningHub) -> AsyncIterator[Peer]:
    async with open_peer(hub.url, headers={"Authorization": f"Bearer {token(3600)}"}) as peer:
        yield peer


@EACH_V11
async def test_with_fresh_params_a_subscription_outlives_its_token_without_a_gap(
    version: Version, tmp_path: Path
) -> None:
    async with guarded_hub(tmp_path) as hub, publisher(hub) as peer:
        tokens = [{"token": token(LIFE_S)}, {"token": token(3600)}]
        async with puppet(version, hub.url, connectionParams=tokens) as client:
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t", "replay": "none"})
            await sub.until(lambda sub: "started" in sub.events)
            published = 0
            while len([event for event, _ in client.ws if event == "open"]) < 2 or published < 300:
                published += 1
                await peer.publish("task.progress", progress("t", published % 100, str(published)))
                await trio.sleep(0.02)
            await sub.until(lambda sub: len(sub.data) >= published)
            assert [event["message"] for event in sub.data] == [str(nth + 1) for nth in range(published)]
            assert [code for event, code in client.ws if event == "close"] == [1012]
            assert sub.errors == []


@EACH_V11
async def test_with_the_old_params_it_is_refused_at_last_and_gets_nothing_past_the_end(
    version: Version, tmp_path: Path
) -> None:
    async with guarded_hub(tmp_path) as hub, publisher(hub) as peer:
        old = token(2)  # too short a life for a notice
        ends = time.time() + 2
        async with puppet(version, hub.url, connectionParams={"token": old}, retryDelayMs=0) as client:
            sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t", "replay": "none"})
            await sub.until(lambda sub: "started" in sub.events)
            before = 0
            while not sub.errors:
                before += time.time() < ends
                await peer.publish("task.progress", progress("t", 1))
                await trio.sleep(0.02)
            assert [error["code"] for error in sub.errors] == ["UNAUTHORIZED"]
            assert 0 < len(sub.data) <= before
            began, opened = trio.current_time(), len(client.ws)
            await until(lambda: len(client.ws) >= opened + 4)
            assert trio.current_time() - began >= REJECT_DELAY_S
