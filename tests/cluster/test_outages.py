"""A Valkey that is gone for a while: publishing waits and fails, subscriptions wait and go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trio
from adohub_redis.testing import Server, valkey

from tests.cluster.hubs import PUBLISH_TIMEOUT_MS, READY, UNREADY, Member, cluster, noticed
from tests.cluster.witness import Author, Watcher, Witness, acknowledged, epochs

SOME = 30
"""How many events are enough to see that something goes on."""

CUTS = 8

PATIENCE_MS = 10_000
"""Longer than all the cuts together take."""

PAUSE_S = 6.0
"""Longer than anything that a hub waits for here, and than others take it to live without a word."""

Outage = Callable[[Server], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def killed(server: Server) -> AsyncIterator[None]:
    """A crash, with everything flushed that was acknowledged; and a restart."""
    await server.kill()
    yield
    await server.start()


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[None]:
    """Nobody answers, and nothing is closed."""
    await server.stop_process()
    goes_on = trio.current_time() + PAUSE_S
    yield
    await trio.sleep_until(goes_on)
    await server.cont()


@asynccontextmanager
async def company(
    hubs: Sequence[Member], chance: Random
) -> AsyncIterator[tuple[Sequence[Author], Sequence[Watcher]]]:
    """An author and a watcher at each hub. In the end everybody has seen all that anybody wrote, and once."""
    witness = Witness()
    authors = [Author(name, chance) for name, _ in zip("abc", hubs, strict=False)]
    watchers = [Watcher(witness) for _ in hubs]
    async with trio.open_nursery() as watching:
        for watcher, hub in zip(watchers, hubs, strict=True):
            await watching.start(watcher.watch, hub.url)
        async with trio.open_nursery() as writing:
            for author, hub in zip(authors, hubs, strict=True):
                writing.start_soon(author.write, hub.url)
            for author in authors:
                await author.until_acknowledged(SOME)
            yield authors, watchers
            for author in authors:
                await author.until_acknowledged(SOME)
                author.finish()
        ids = await witness.history(hubs)
        witness.check_once(ids, acknowledged(authors))
        assert len(epochs(ids)) == 1
        for watcher in watchers:
            await watcher.until_caught_up(ids)
            assert watcher.ids == ids
            assert watcher.connections == 1
        watching.cancel_scope.cancel()


def check_that_it_waited(author: Author) -> None:
    """The first refusal came when its time was over, and said whose fault it is."""
    assert {code for code, _ in author.refusals} == {"SERVICE_UNAVAILABLE"}
    (_, waited_s), *_ = author.refusals
    assert waited_s > PUBLISH_TIMEOUT_MS / 1000 / 2


@pytest.mark.parametrize("outage", [killed, stopped])
async def test_while_valkey_is_gone_publishing_fails_and_subscriptions_wait(
    outage: Outage, tmp_path: Path, chance: Random
) -> None:
    async with (
        valkey(tmp_path / "valkey") as server,
        cluster(tmp_path, *3 * [server.url]) as hubs,
        company(hubs, chance) as (authors, _),
    ):
        await noticed(hubs, READY)
        async with outage(server):
            await noticed(hubs, UNREADY)
            for author in authors:
                await author.until_refused()
                check_that_it_waited(author)
        await noticed(hubs, READY)


async def test_connections_that_valkey_cuts_are_made_again_and_nobody_is_refused(
    tmp_path: Path, chance: Random
) -> None:
    async with (
        valkey(tmp_path / "valkey") as server,
        cluster(tmp_path, *3 * [server.url], publish_timeout_ms=PATIENCE_MS) as hubs,
        company(hubs, chance) as (authors, _),
    ):
        connections = 0
        for _ in range(CUTS):
            await chance.choice(authors).until_acknowledged(chance.randint(1, SOME))
            connections += int(str(await server.command("CLIENT", "KILL", "TYPE", "normal")))
        assert connections >= len(hubs)
    assert [author.refusals for author in authors] == [[], [], []]
