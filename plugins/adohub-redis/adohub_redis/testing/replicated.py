"""A primary, its replicas and three Sentinels that promote one when the primary dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio
from attrs import define

from adohub_redis.testing.resp import Answer, Refused
from adohub_redis.testing.server import Server, server
from adohub_redis.testing.single import durability
from adohub_redis.testing.waiting import until

NAME = "mymaster"
"""What Sentinel calls the primary and its replicas."""

SENTINELS = 3
DOWN_AFTER_MS = 1000
"""After how much silence a Sentinel takes the primary for dead."""

FAILOVER_TIMEOUT_MS = 5000
"""After how long a failover that came to nothing is tried again."""

_NO_DELAY = "repl-diskless-sync-delay 0"


@define(eq=False)
class Replicated:
    """`servers` has the first primary first."""

    servers: Sequence[Server]
    sentinels: Sequence[Server]

    @property
    def url(self) -> str:
        """Where clients find the Sentinels, which know where the primary is."""
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{NAME}/0"

    async def primary(self) -> Server:
        """Who is primary, as the Sentinels that run agree. Raises TooSlowError if they do not."""
        return await until(self._named)

    async def fail_over(self) -> Server:
        """Kill the primary and return the one that takes its place, once it does. Raises TooSlowError."""
        dead = await self.primary()
        await dead.kill()

        async def promoted() -> Server | None:
            new = await self._named()
            return new if new not in {None, dead} and await _is_primary(new) else None

        return await until(promoted)

    async def settle(self) -> None:
        """Return once all know each other and all replicas follow the primary. Raises TooSlowError."""
        await until(self._is_whole)

    async def _named(self) -> Server | None:
        """Whom all Sentinels that run name, if it is one."""
        named = {await _port_of_primary(sentinel) for sentinel in self.sentinels if sentinel.running}
        by_port = {one.port: one for one in self.servers}
        return by_port[named.pop()] if len(named) == 1 else None

    async def _is_whole(self) -> bool:
        replicas, others = len(self.servers) - 1, len(self.sentinels) - 1
        for sentinel in self.sentinels:
            primary = _fields(await sentinel.command("SENTINEL", "MASTER", NAME))
            counted = primary["flags"], primary["num-slaves"], primary["num-other-sentinels"]
            known = await sentinel.command("SENTINEL", "REPLICAS", NAME)
            assert isinstance(known, list)
            links = [_fields(replica)["master-link-status"] for replica in known]
            if counted != ("master", str(replicas), str(others)) or links != ["ok"] * replicas:
                return False
        return True


async def _port_of_primary(sentinel: Server) -> int:
    place = await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
    assert isinstance(place, list)
    return int(str(place[1]))


async def _is_primary(one: Server | None) -> bool:
    try:
        return one is not None and (await one.info("replication"))["role"] == "master"
    except (OSError, trio.BrokenResourceError, Refused):
        return False


def _fields(answer: Answer) -> dict[str, str]:
    """An array of names and values in turn."""
    assert isinstance(answer, list)
    return dict(zip(map(str, answer[::2]), map(str, answer[1::2]), strict=True))


@asynccontextmanager
async def replicated(directory: Path, replicas: int = 1) -> AsyncIterator[Replicated]:
    """A primary with `replicas` and three Sentinels, once all know each other. Raises StartFailed.

    A server that died and is started again comes back as a replica, once the Sentinels have seen it.
    """
    async with AsyncExitStack() as stack:
        kept = (*durability(appendonly=True, fsync="always"), _NO_DELAY)
        primary = await stack.enter_async_context(server(directory / "primary", *kept))
        following = f"replicaof 127.0.0.1 {primary.port}"
        servers = [primary] + [
            await stack.enter_async_context(server(directory / f"replica-{number}", *kept, following))
            for number in range(1, replicas + 1)
        ]
        watching = (
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} {SENTINELS // 2 + 1}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}",
        )
        sentinels = [
            await stack.enter_async_context(
                server(directory / f"sentinel-{number}", *watching, mode=("--sentinel",))
            )
            for number in range(1, SENTINELS + 1)
        ]
        whole = Replicated(servers, sentinels)
        await whole.settle()
        yield whole
