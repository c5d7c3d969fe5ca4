"""Whatever kind of server the URL names, hubs find it, share it and outlive its failing over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from adohub_redis.testing import Cluster, Replicated, acl, cluster, replicated, tls, valkey

from adohub import Storage, StorageError
from adohub.testing.storage.words import EVERYTHING, draft, follow_until, read_all, until

Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
Place: TypeAlias = Callable[[Path], AbstractAsyncContextManager[str]]
"""Starts what is in the folder, and gives the URL of it."""


@asynccontextmanager
async def behind_a_password(folder: Path) -> AsyncIterator[str]:
    async with valkey(folder, password="p@ss:/word") as server:
        yield server.url


@asynccontextmanager
async def as_a_user_with_few_rights(folder: Path) -> AsyncIterator[str]:
    async with acl(folder) as server:
        yield server.url


@asynccontextmanager
async def in_another_database(folder: Path) -> AsyncIterator[str]:
    async with valkey(folder) as server:
        yield f"{server.url.removesuffix('/0')}/3"


@asynccontextmanager
async def at_a_unix_socket(folder: Path) -> AsyncIterator[str]:
    path = folder / "s"
    async with valkey(folder, extra=[f"unixsocket {path}", "unixsocketperm 700"]):
        yield f"unix://{path}"


@asynccontextmanager
async def by_tls(folder: Path) -> AsyncIterator[str]:
    async with valkey(folder, password="secret") as server, tls(server, folder) as encrypted:
        yield encrypted.url


@asynccontextmanager
async def in_a_cluster(folder: Path) -> AsyncIterator[str]:
    async with cluster(folder) as nodes:
        yield nodes.url


@asynccontextmanager
async def under_sentinels(folder: Path) -> AsyncIterator[str]:
    async with replicated(folder) as servers:
        yield servers.url


@pytest.mark.parametrize(
    "place",
    [
        behind_a_password,
        as_a_user_with_few_rights,
        in_another_database,
        at_a_unix_socket,
        by_tls,
        in_a_cluster,
        under_sentinels,
    ],
)
async def test_what_one_hub_keeps_there_another_is_given(place: Place, tmp_path: Path, hub: Opening) -> None:
    async with place(tmp_path) as url, hub(url) as storage, hub(url) as other:
        drafts = [draft(ends=["t.a"]), draft("state", "k", if_revision=0), draft(again="n")]
        kept = [receipt.position for receipt in await storage.append(drafts)]
        seen = await follow_until(other, other.tail(), lambda: kept[-1])
        assert [event.position for event in seen] == kept
        [repeated] = await other.append([draft(again="n")])
        assert repeated.repeated
        assert repeated.position == kept[-1]
        await storage.check()
        assert storage.trouble() is None
        assert len(storage.hubs()) == 2


@pytest.mark.parametrize("kind", [lambda folder: cluster(folder, replicas=1), replicated])
async def test_what_a_replica_has_outlives_a_failover(
    kind: Callable[[Path], AbstractAsyncContextManager[Cluster | Replicated]], tmp_path: Path, hub: Opening
) -> None:
    async with kind(tmp_path) as servers, hub(servers.url, timeout_ms=20_000) as storage:
        async with hub(servers.url, replicas=1) as careful:
            await careful.append([draft(number=1), draft(number=2)])
            epoch = careful.head().epoch
        await until(lambda: storage.head().offset == 2)
        await (servers.fail_over("{ado}:meta") if isinstance(servers, Cluster) else servers.fail_over())
        await storage.append([draft(number=3)])
        found = await read_all(storage, EVERYTHING)
        assert [event.payload["number"] for event in found] == [1, 2, 3]
        assert epoch < found[-1].position.epoch
        async with hub(servers.url) as other:
            assert await read_all(other, EVERYTHING) == found


async def test_a_sentinel_that_answers_nothing_keeps_no_hub_from_the_new_epoch(
    tmp_path: Path, hub: Opening
) -> None:
    async with replicated(tmp_path) as servers, hub(servers.url) as storage:
        [receipt] = await storage.append([draft()])
        primary = await servers.primary()
        await servers.sentinels[0].stop_process()
        await primary.command("FLUSHALL")
        await until(lambda: storage.head().epoch > receipt.position.epoch)
        assert (await storage.append([draft()]))[0].position.offset == 1
        await servers.sentinels[0].cont()


async def test_who_is_not_let_in_is_told_so_without_the_password(tmp_path: Path, hub: Opening) -> None:
    async with valkey(tmp_path, password="right") as server:
        with pytest.raises(StorageError, match="refuses the user or password") as refused:
            async with hub(f"redis://:wr0ng@127.0.0.1:{server.port}", timeout_ms=500):
                pass
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(StorageError, match="wants a password"):
            async with hub(f"redis://127.0.0.1:{server.port}", timeout_ms=500):
                pass


async def test_a_user_who_may_not_do_enough_is_told_where_to_read_on(tmp_path: Path, hub: Opening) -> None:
    async with acl(tmp_path, ["+@read", "+@connection"]) as server:
        with pytest.raises(StorageError, match=r"docs/cluster\.md"):
            async with hub(server.url, timeout_ms=500):
                pass


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, hub: Opening) -> None:
    async with valkey(tmp_path) as server, tls(server, tmp_path) as encrypted:
        with pytest.raises(StorageError, match="cannot be reached"):
            async with hub(encrypted.untrusted_url, timeout_ms=500):
                pass
