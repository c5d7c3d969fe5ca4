"""A Cluster: primaries that share the slots out among them, each with as many replicas as one likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import define

from adohub_redis.testing.ports import BUS_OFFSET
from adohub_redis.testing.server import Server, facts, server
from adohub_redis.testing.single import durability
from adohub_redis.testing.waiting import until

SLOTS = 16384
NODE_TIMEOUT_MS = 2000
"""After how much silence a node counts as failing."""


@define(eq=False)
class Cluster:
    """`primaries` as they were at the start, and the replicas they had."""

    primaries: Sequence[Server]
    replicas: Sequence[Server]

    @property
    def url(self) -> str:
        """Where clients find the primaries, any of which tells them of all nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self.primaries)

    @property
    def nodes(self) -> Sequence[Server]:
        """All, whether they run or not."""
        return [*self.primaries, *self.replicas]

    async def holder(self, key: str) -> Server:
        """Who serves `key`. Raises TooSlowError if nobody does."""
        return await until(lambda: self._holder(key))

    async def fail_over(self, key: str) -> Server:
        """Kill who serves `key` and return the replica that takes its place, once it does.

        Raises TooSlowError, as when there is no replica.
        """
        dead = await self.holder(key)
        await dead.kill()

        async def promoted() -> Server | None:
            new = await self._holder(key)
            return new if new is not dead and await _all(_is_well, self._running()) else None

        return await until(promoted)

    async def settle(self) -> None:
        """Return once every node knows all, every slot is served and every replica is in step.

        Raises TooSlowError.
        """

        async def settled() -> bool:
            return (
                await _all(_is_well, self.nodes)
                and await self.is_acquainted()
                and await _all(_is_in_step, self.replicas)
            )

        await until(settled)

    async def is_acquainted(self) -> bool:
        """Whether every node is in touch with all."""
        for node in self.nodes:
            known = str(await node.command("CLUSTER", "NODES")).splitlines()
            if len(known) < len(self.nodes) or not all(map(_is_in_touch, known)):
                return False
        return True

    async def _holder(self, key: str) -> Server | None:
        """Who serves `key`, as a node that runs has it."""
        asked = self._running()[0]
        slot = await asked.command("CLUSTER", "KEYSLOT", key)
        ranges: Any = await asked.command("CLUSTER", "SLOTS")
        ports = [port for first, last, (_, port, *_), *_ in ranges if first <= slot <= last]
        return next((node for node in self.nodes if node.port in ports), None)

    def _running(self) -> list[Server]:
        return [node for node in self.nodes if node.running]


@asynccontextmanager
async def cluster(directory: Path, nodes: int = 3, *, replicas: int = 0) -> AsyncIterator[Cluster]:
    """A Cluster of `nodes` primaries (at least three), each with `replicas`. Raises StartFailed.

    A primary that died and is started again after a replica took its place comes back as a replica.
    """
    lines = (
        *durability(appendonly=True, fsync="always"),
        "cluster-enabled yes",
        f"cluster-node-timeout {NODE_TIMEOUT_MS}",
        "repl-diskless-sync-delay 0",
    )
    async with AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(server(directory / f"node-{number}", *lines))
            for number in range(1, nodes * (1 + replicas) + 1)
        ]
        whole = Cluster(started[:nodes], started[nodes:])
        await _form(whole)
        yield whole


async def _form(whole: Cluster) -> None:
    number = len(whole.primaries)
    bounds = [SLOTS * share // number for share in range(number + 1)]
    for epoch, (primary, (first, end)) in enumerate(zip(whole.primaries, pairwise(bounds), strict=True), 1):
        await primary.command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        await primary.command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
    first_of_all, *others = whole.nodes
    for node in others:
        await first_of_all.command("CLUSTER", "MEET", "127.0.0.1", node.port, node.port + BUS_OFFSET)
    await until(whole.is_acquainted)
    for index, replica in enumerate(whole.replicas):
        primary_id = await whole.primaries[index % number].command("CLUSTER", "MYID")
        await replica.command("CLUSTER", "REPLICATE", str(primary_id))
    await whole.settle()


async def _all(holds: Callable[[Server], Awaitable[bool]], nodes: Iterable[Server]) -> bool:
    for node in nodes:
        if not await holds(node):
            return False
    return True


def _is_in_touch(line: str) -> bool:
    """Whether a line of CLUSTER NODES is of a node that is connected and known by its name."""
    _, _, flags, _, _, _, _, link, *_ = line.split()
    return link == "connected" and not {"handshake", "noaddr"} & set(flags.split(","))


async def _is_well(node: Server) -> bool:
    return facts(await node.command("CLUSTER", "INFO"))["cluster_state"] == "ok"


async def _is_in_step(replica: Server) -> bool:
    return (await replica.info("replication")).get("master_link_status") == "up"
