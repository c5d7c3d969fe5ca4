"""An append whose answer is lost is sent again, and done once; one that is late is not done any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from adohub_redis.address import Address
from adohub_redis.keys import Keys
from adohub_redis.link import opened
from adohub_redis.scripts import APPEND
from adohub_redis.server import LEASE_S
from adohub_redis.server import Server as Asked
from adohub_redis.testing import Server, valkey
from attrs import define

from adohub import Position, Storage, StorageError
from adohub.testing.storage.words import EVERYTHING, draft, read_all, settings

Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]

DEADLINE_S = 20.0


@define
class Lossy:
    """Forwards `port` to a server; it loses the next `losses` answers to appends, with their connections."""

    port: int
    losses: int = 0

    async def forward(self, client: trio.SocketStream, target_port: int) -> None:
        """Carry one connection."""
        doomed = trio.Event()
        async with client, await trio.open_tcp_stream("127.0.0.1", target_port) as target:
            async with trio.open_nursery() as nursery:

                async def carry_answers() -> None:
                    async for chunk in target:
                        if doomed.is_set():
                            self.losses -= 1
                            break
                        await client.send_all(chunk)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(carry_answers)
                async for chunk in client:
                    if self.losses and APPEND.digest.encode() in chunk:
                        doomed.set()
                    await target.send_all(chunk)
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def lossy(server: Server) -> AsyncIterator[Lossy]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    link = Lossy(listener.socket.getsockname()[1])

    async def forward(client: trio.SocketStream) -> None:
        await link.forward(client, server.port)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, forward, [listener])
        yield link
        nursery.cancel_scope.cancel()


async def test_an_append_whose_answer_was_lost_is_done_once(tmp_path: Path, hub: Opening) -> None:
    async with (
        valkey(tmp_path) as server,
        lossy(server) as link,
        hub(server.url_at(link.port)) as storage,
    ):
        await storage.append([draft()])
        link.losses = 2
        receipts = await storage.append([draft(), draft(again="n"), draft("state", "k", if_revision=0)])
        assert link.losses == 0
        assert [(one.position.offset, one.repeated, one.rejected) for one in receipts] == [
            (2, False, ""),
            (3, False, ""),
            (4, False, ""),
        ]
        [last] = await storage.append([draft()])
        assert last.position.offset == 5
        assert len(await read_all(storage, EVERYTHING)) == 5


async def test_an_append_that_is_sent_again_still_waits_for_replicas(tmp_path: Path, hub: Opening) -> None:
    async with (
        valkey(tmp_path / "primary", extra=["repl-diskless-sync-delay 0"]) as server,
        valkey(tmp_path / "replica", extra=[f"replicaof 127.0.0.1 {server.port}"]) as replica,
        lossy(server) as link,
        hub(server.url_at(link.port), replicas=1, timeout_ms=1000) as storage,
    ):
        while (await replica.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110
            await trio.sleep(0.02)
        await storage.append([draft()])
        await replica.stop_process()
        link.losses = 1
        with pytest.raises(StorageError, match="only 0 of 1 replicas"):
            await storage.append([draft()])
        assert link.losses == 0
        await replica.cont()
        await storage.append([draft()])
        assert len(await read_all(storage, EVERYTHING)) == 3


async def test_an_append_that_was_overtaken_is_not_done(tmp_path: Path) -> None:
    """What a connection has taken can reach the server long after the hub has given that connection up."""
    asked = Asked(Keys("ado"), settings())
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, trio.open_nursery() as nursery:
            async with opened(nursery, Address.parse(server.url), asked.keys.tag) as link:
                epoch = (await asked.arrive(link, Position("", 0), Position("", 0), LEASE_S)).epoch
                for number in (1, 2, 2, 10):
                    assert await asked.append(link, epoch, number, [draft()], 1.0) is not None
                with pytest.raises(StorageError, match="later append"):
                    await asked.append(link, epoch, 9, [draft()], 1.0)
                assert len(await asked.page(link, epoch, 0, 10)) == 3
