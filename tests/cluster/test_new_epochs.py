"""A Redis that has lost something: hubs begin a new epoch together, and say so to everyone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import trio
from adohub_redis.testing import Replicated, replicated, valkey

from adohub import Position
from tests.cluster.hubs import cluster
from tests.cluster.witness import GAP, Author, Listener, Witness, acknowledged, epochs, subscription
from tests.running import open_peer

SOME = 50
"""How many events are enough to see that something goes on."""


def offset(event_id: str) -> int:
    position = Position.parse(event_id)
    assert position is not None
    return position.offset


def check_common(parts: Sequence[Sequence[str]]) -> None:
    """Nobody was shown another order; some may have been shown more of it."""
    longest = max(parts, key=len)
    assert all(part == longest[: len(part)] for part in parts)


async def test_after_a_flush_all_are_told_of_a_gap_and_go_on_with_the_first_new_event(
    tmp_path: Path, chance: Random
) -> None:
    witness = Witness()
    listeners = [Listener(witness) for _ in range(3)]
    late = Listener(witness)
    authors = [Author(name, chance) for name in "abc"]
    async with (
        valkey(tmp_path / "valkey") as server,
        cluster(tmp_path, *3 * [server.url]) as hubs,
        trio.open_nursery() as listening,
    ):
        for listener, hub in zip(listeners, hubs, strict=True):
            await listening.start(listener.listen, hub.url)
        async with trio.open_nursery() as writing:
            for author, hub in zip(authors, hubs, strict=True):
                writing.start_soon(author.write, hub.url)
            for author in authors:
                await author.until_acknowledged(SOME)
            await server.command("FLUSHALL")
            for listener in listeners:
                await listener.until(lambda heard: GAP in heard)
            for author in authors:
                await author.until_acknowledged(SOME)
                author.finish()
        ids = await witness.history(hubs)
        (epoch,) = epochs(ids)
        for listener in listeners:
            await listener.until(lambda heard: heard[-1] == ids[-1])
            before, after = listener.parts
            assert after == ids
            assert len(before) >= SOME
            assert epochs(before) < [epoch]
        check_common([listener.parts[0] for listener in listeners])
        known = acknowledged(authors)
        witness.check_once(ids, {message: one for message, one in known.items() if epochs([one]) == [epoch]})

        await listening.start(late.listen, hubs[0].url, listeners[0].heard[0])
        await late.until(lambda heard: heard[-1:] == ids[-1:])
        assert late.heard == [GAP, *ids]
        listening.cancel_scope.cancel()


def promotions(servers: Replicated) -> int:
    """How many there were: Sentinels that get no time to speak may see another primary die."""
    return sum(server.log.count("Setting secondary replication ID") for server in servers.servers)


async def test_after_a_failover_nothing_is_lost_that_a_replica_had_and_nothing_shown_again(
    tmp_path: Path, chance: Random
) -> None:
    witness = Witness()
    listeners = [Listener(witness) for _ in range(2)]
    authors = [Author(name, chance) for name in "ab"]
    async with (
        replicated(tmp_path / "valkey", replicas=2) as servers,
        cluster(tmp_path, *2 * [servers.url], wait_replicas=1) as hubs,
        trio.open_nursery() as listening,
    ):
        for listener, hub in zip(listeners, hubs, strict=True):
            await listening.start(listener.listen, hub.url)
        async with trio.open_nursery() as writing:
            for author, hub in zip(authors, hubs, strict=True):
                writing.start_soon(author.write, hub.url)
            for author in authors:
                await author.until_acknowledged(SOME)
            await servers.fail_over()
            for listener in listeners:
                await listener.until(lambda heard: GAP in heard)
            for author in authors:
                await author.until_acknowledged(SOME)
                author.finish()
        ids = await witness.history(hubs)
        (epoch,) = epochs(ids)
        messages = {offset(one): witness.message(one) for one in ids}
        known = acknowledged(authors)
        witness.check_once(
            ids, {message: f"{epoch}-{one.partition('-')[2]}" for message, one in known.items()}
        )
        for listener in listeners:
            await listener.until(lambda heard: heard[-1] == ids[-1])
            assert 1 <= listener.heard.count(GAP) <= promotions(servers)
            heard = [one for one in listener.heard if one != GAP]
            assert heard == sorted(heard)
            shown = {offset(one): witness.message(one) for one in heard}
            assert list(shown) == sorted(shown), "shown again, or in another order"
            assert len(shown) == len(heard)
            assert messages.items() <= shown.items(), "not shown, or something else"
        listening.cancel_scope.cancel()


def change(key: str | None, value: object, op: str = "set") -> dict[str, Any]:
    return {"op": op, "key": key, "value": value}


async def test_after_a_flush_what_shows_state_begins_anew(tmp_path: Path) -> None:
    heard: list[dict[Any, Any]] = []
    async with (
        valkey(tmp_path / "valkey") as server,
        cluster(tmp_path, *2 * [server.url]) as hubs,
        open_peer(hubs[0].url) as watching,
        open_peer(hubs[1].url) as writing,
    ):

        async def hear(number: int) -> None:
            while len(heard) < number:
                match await watching.hear():
                    case {"result": {"type": "data", "data": {"revision": _, **rest}}}:
                        heard.append(rest)
                    case {"result": {"type": "started", **rest}}:
                        heard.append(rest)

        await writing.mutate("state.set", {"key": "color", "value": "red"})
        await watching.tell(subscription("state.onChange", {"prefix": ""}))
        await hear(3)
        await server.command("FLUSHALL")
        await hear(5)
        await writing.mutate("state.set", {"key": "color", "value": "blue"})
        await hear(6)
    assert heard == [
        {},
        change("color", "red"),
        change(None, None, "synced"),
        {"recovered": False},
        change(None, None, "synced"),
        change("color", "blue"),
    ]
