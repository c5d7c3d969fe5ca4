"""Several hubs over one Redis, each a process with a port of its own, which it keeps over its deaths.

async with valkey(tmp_path) as server, cluster(tmp_path, *3 * [server.url]) as hubs:
await hubs[0].kill()
await hubs[0].start()
"""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random

import trio
from attrs import define, field

from tests.cli.processes import Hub, serving
from tests.net.raw import exchange, head
from tests.severing import Proxy, severing_proxy

DEADLINE_S = 300.0
"""After how many seconds a test of many hubs has hung."""

PUBLISH_TIMEOUT_MS = 1000
"""How long these hubs wait for a Redis that is gone."""

NOTICED_S = 5.0
"""Within how many seconds a hub is to say that Redis is gone, or back."""

READY, UNREADY = (200, {"status": "ok"}), (503, {"status": "degraded", "storage": "unavailable"})


@define(eq=False)
class Member:
    """One of the hubs."""

    folder: Path
    storage: str
    _lives: trio.Nursery
    port: int = 0
    _hub: Hub | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where clients find it, whether it lives or not."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log(self) -> list[str]:
        """What its present life has logged, without the facts."""
        assert self._hub is not None
        return [line["event"] for line in self._hub.log]

    async def start(self) -> None:
        """Start it, at the port that it had; return once it is ready."""
        self._hub = await self._lives.start(self._live)
        self.port = int(self._hub.port)

    async def kill(self) -> None:
        """SIGKILL, as a crash."""
        assert self._hub is not None
        await self._hub.kill()

    async def readiness(self) -> tuple[int, object]:
        """What a load balancer is told."""
        response = await exchange(self.port, head("/readyz", {"Host": "hub", "Connection": "close"}))
        assert response is not None
        return response.status, json.loads(response.body)

    async def until(self, readiness: tuple[int, object]) -> None:
        """Return once load balancers are told this."""
        while await self.readiness() != readiness:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.02)

    async def _live(self, *, task_status: trio.TaskStatus[Hub]) -> None:
        async with serving(self.folder, self.storage, port=str(self.port), deadline_s=DEADLINE_S) as hub:
            task_status.started(hub)
            status = await hub.run.process.wait()
            assert status == -signal.SIGKILL, f"a hub ended by itself:\n{hub.run.err}"


@asynccontextmanager
async def cluster(
    folder: Path,
    *urls_of_redis: str,
    wait_replicas: int = 0,
    publish_timeout_ms: int = PUBLISH_TIMEOUT_MS,
) -> AsyncIterator[Sequence[Member]]:
    """Hubs that are one, each of which finds Redis at its own of these URLs."""
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as lives:
            members = [
                Member(folder / f"hub-{number}", _storage(url, wait_replicas, publish_timeout_ms), lives)
                for number, url in enumerate(urls_of_redis, 1)
            ]
            async with trio.open_nursery() as starting:
                for member in members:
                    member.folder.mkdir()
                    starting.start_soon(member.start)
            yield members
            lives.cancel_scope.cancel()


def _storage(url: str, wait_replicas: int, publish_timeout_ms: int) -> str:
    """The configuration of a hub over the Redis at `url`."""
    return f"""
[storage]
engine = "redis"
[storage.redis]
url = "{url}"
publish_timeout_ms = {publish_timeout_ms}
wait_replicas = {wait_replicas}
"""


async def noticed(hubs: Sequence[Member], readiness: tuple[int, object]) -> None:
    """Return once all of them are ready, or not. Raises TooSlowError if one does not notice in time."""
    with trio.fail_after(NOTICED_S):
        for hub in hubs:
            await hub.until(readiness)


def crossroads(hubs: Sequence[Member], chance: Random) -> AbstractAsyncContextManager[Proxy]:
    """A port where each connection meets any of the hubs; `cut` sends all on to others, perhaps."""
    return severing_proxy(lambda: chance.choice(hubs).port)
