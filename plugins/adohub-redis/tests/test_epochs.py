"""What becomes of the order of events when the server has lost something: no id ever means two payloads."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from adohub_redis.testing import Server, partition, valkey

from adohub import Located, Position, Receipt, Storage, StorageError
from adohub.testing.storage.words import EVERYTHING, draft, read_all, until

Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]


async def append(storage: Storage, number: int = 1) -> list[Position]:
    """Keep so many events, and give their positions."""
    return [receipt.position for receipt in await storage.append([draft()] * number)]


async def positions(storage: Storage) -> list[Position]:
    """Of all that it has."""
    return [event.position for event in await read_all(storage, EVERYTHING)]


async def followed(storage: Storage, after: Position) -> list[Position]:
    """What it yields until it ends, as it does with the epoch."""
    return [event.position async for batch in storage.follow(after) for event in batch]


async def restart(server: Server) -> None:
    await server.kill()
    await server.start()


# ── nothing is lost ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_restart_out_of_the_log_keeps_the_epoch_and_leaves_a_hole(
    server: Server, hub: Opening
) -> None:
    async with hub(server.url) as storage:
        before = await append(storage, 3)
        await restart(server)
        after = await append(storage, 2)
        assert await positions(storage) == before + after
        assert {one.epoch for one in before + after} == {before[0].epoch}
        assert all(storage.locate(one) == Located(one, whole=True) for one in before + after)
        beyond = Position(before[0].epoch, before[-1].offset + 1)
        assert before[-1] < beyond < after[0], "what had been shown and not flushed would have had this one"
        assert storage.locate(beyond) == Located(before[-1], whole=False)
        assert await storage.confirm(beyond) == Located(before[-1], whole=False)


async def test_who_opens_after_such_a_restart_has_it_all_in_the_same_epoch(
    server: Server, hub: Opening
) -> None:
    async with hub(server.url) as storage:
        before = await append(storage, 3)
    await restart(server)
    async with hub(server.url) as storage, hub(server.url) as other:
        after = await append(storage) + await append(other)
        await until(lambda: storage.head() == after[-1])
        assert await positions(storage) == await positions(other) == before + after
        assert {one.epoch for one in after} == {before[0].epoch}


async def test_restarts_keep_the_epoch_and_what_was_before_history_is_forgotten_of_them(
    server: Server, hub: Opening
) -> None:
    async with hub(server.url) as storage:
        old: list[Position] = []
        for _ in range(4):
            old += await append(storage)
            await restart(server)
            await storage.check()
        stream, meta = f"{{ado}}:events:{old[0].epoch}", "{ado}:meta"
        assert len(str(await server.command("HGET", meta, "holes")).split()) == 4
        await server.command("XTRIM", stream, "MINID", f"{old[-1].offset}-0")
        await restart(server)
        await storage.check()
        assert len(str(await server.command("HGET", meta, "holes")).split()) == 2
        assert storage.head().epoch == old[0].epoch
        assert [one.offset for one in old] == sorted({one.offset for one in old})


async def test_a_server_that_gets_its_first_replica_goes_on_as_if_nothing_were(
    tmp_path: Path, server: Server, hub: Opening
) -> None:
    """It takes another replication id then, and no connection ends."""
    async with valkey(tmp_path / "replica") as replica, hub(server.url) as storage, hub(server.url) as other:
        kept = await append(storage, 3)
        await follow_primary(replica, server)
        kept += await append(storage) + await append(other)
        await until(lambda: storage.head() == other.head() == kept[-1])
        assert await positions(storage) == await positions(other) == kept
        assert kept == [Position(kept[0].epoch, kept[0].offset + n) for n in range(5)]


# ── something is lost ────────────────────────────────────────────────────────────────────────────────────


async def flush(server: Server, storage: Storage) -> None:
    await server.command("FLUSHALL")


async def delete_stream(server: Server, storage: Storage) -> None:
    assert await server.command("DEL", f"{{ado}}:events:{storage.head().epoch}") == 1


async def delete_meta(server: Server, storage: Storage) -> None:
    assert await server.command("DEL", "{ado}:meta") == 1


@pytest.mark.parametrize("lose", [flush, delete_stream, delete_meta])
async def test_a_log_that_is_gone_begins_anew_for_all_who_hold_it(
    lose: Callable[[Server, Storage], Awaitable[None]], server: Server, hub: Opening
) -> None:
    async with hub(server.url) as storage, hub(server.url) as other:
        old = await append(storage, 3)
        await until(lambda: other.head() == old[-1])
        async with trio.open_nursery() as nursery:
            ended = []

            async def follow(one: Storage) -> None:
                ended.append(await followed(one, Position(old[0].epoch, 0)))

            nursery.start_soon(follow, storage)
            nursery.start_soon(follow, other)
            await lose(server, storage)
        assert ended == [old, old]
        new = await append(storage) + await append(other)
        await until(lambda: storage.head() == new[-1])
        assert await positions(storage) == await positions(other) == new
        assert old[0].epoch < new[0].epoch == new[1].epoch
        for one in (storage, other):
            assert one.locate(old[-1]) == Located(one.tail(), whole=False)
            assert one.tail() < new[0]


async def test_without_a_log_a_restart_begins_anew(tmp_path: Path, hub: Opening) -> None:
    async with valkey(tmp_path, appendonly=False) as server, hub(server.url) as storage:
        [kept] = await append(storage)
        await server.command("SAVE")
        [lost] = await append(storage)
        await restart(server)
        [new] = await append(storage)
        assert kept.epoch < new.epoch
        assert new.offset > lost.offset
        survivor = Position(new.epoch, kept.offset)
        assert await positions(storage) == [survivor, new]
        assert storage.locate(kept) == Located(survivor, whole=False)
        assert not storage.locate(lost).whole
        assert storage.locate(lost).position < new


async def test_without_a_log_a_restart_begins_anew_though_nobody_was_there(
    tmp_path: Path, hub: Opening
) -> None:
    async with valkey(tmp_path, appendonly=False) as server:
        async with hub(server.url) as storage:
            [kept] = await append(storage)
            await server.command("SAVE")
            [lost] = await append(storage)
        await restart(server)
        async with hub(server.url) as storage:
            [new] = await append(storage)
            assert kept.epoch < new.epoch
            assert new.offset > lost.offset
            assert not storage.locate(lost).whole


async def test_a_hub_that_knows_more_than_the_server_ends_the_epoch(server: Server, hub: Opening) -> None:
    async with hub(server.url) as storage:
        [kept] = await append(storage)
        await server.kill()
        shutil.copytree(server.directory, server.directory.with_name("copy"))
        await server.start()
        lost = await append(storage, 5)
        await server.kill()
        shutil.rmtree(server.directory)
        shutil.move(server.directory.with_name("copy"), server.directory)
        await server.start()
        new = await append(storage, 5)
        assert kept.epoch < new[0].epoch
        assert {one.offset for one in lost}.isdisjoint(one.offset for one in new)
        assert await positions(storage) == [Position(new[0].epoch, kept.offset), *new]


async def test_a_server_that_was_put_back_before_an_epoch_began_begins_a_later_one(
    server: Server, hub: Opening
) -> None:
    async with hub(server.url) as storage:
        [kept] = await append(storage)
        await server.kill()
        shutil.copytree(server.directory, server.directory.with_name("copy"))
        await server.start()
        await server.command("FLUSHALL")
        [lost] = await append(storage)
        await server.kill()
        shutil.rmtree(server.directory)
        shutil.move(server.directory.with_name("copy"), server.directory)
        await server.start()
        [new] = await append(storage)
        assert kept.epoch < lost.epoch < new.epoch
        assert await positions(storage) == [Position(new.epoch, kept.offset), new]
        assert not storage.locate(lost).whole


async def test_what_is_lost_is_not_taken_for_repeated(server: Server, hub: Opening) -> None:
    async with hub(server.url) as storage:
        for lose in (delete_stream, delete_meta, flush):
            await storage.append([draft(), draft(again="n")])
            await lose(server, storage)
            [receipt] = await storage.append([draft(again="n")])
            assert not receipt.repeated
            assert await positions(storage) == [receipt.position]


async def test_a_server_that_is_full_takes_nothing_until_there_is_room(server: Server, hub: Opening) -> None:
    async with hub(server.url) as storage:
        kept = await append(storage)
        await server.command("CONFIG", "SET", "maxmemory", "1")
        for _ in range(2):
            with pytest.raises(StorageError, match="no memory left"):
                await storage.append([draft("state", "k"), draft()])
        await until(lambda: "no memory left" in str(storage.trouble()))
        await server.command("CONFIG", "SET", "maxmemory", "0")
        await storage.check()
        kept += await append(storage)
        assert await positions(storage) == kept
        await until(lambda: storage.trouble() is None)


async def test_a_server_that_was_promoted_begins_anew_where_it_is(
    tmp_path: Path, server: Server, hub: Opening
) -> None:
    async with valkey(tmp_path / "other") as other, hub(server.url) as storage:
        old = await append(storage, 3)
        await follow_primary(other, server)
        await other.command("REPLICAOF", "NO", "ONE")
        await follow_primary(server, other)
        await server.command("REPLICAOF", "NO", "ONE")
        new = await append(storage, 2)
        assert old[0].epoch < new[0].epoch
        assert new[0].offset > old[-1].offset + 1
        survivors = [Position(new[0].epoch, one.offset) for one in old]
        assert await positions(storage) == survivors + new
        assert [storage.locate(one) for one in old] == [Located(one, whole=False) for one in survivors]
    async with hub(server.url) as storage:
        assert await positions(storage) == survivors + new
        assert (await append(storage))[0] == Position(new[-1].epoch, new[-1].offset + 1)


async def follow_primary(replica: Server, primary: Server) -> None:
    """Make `replica` a replica of `primary`, and wait until it is in step."""
    await replica.command("REPLICAOF", "127.0.0.1", primary.port)
    while (await replica.info("replication")).get("master_link_status") != "up":  # noqa: ASYNC110
        await trio.sleep(0.02)


async def test_a_hub_that_has_missed_what_is_gone_reads_anew_and_the_others_are_not_concerned(
    server: Server, hub: Opening
) -> None:
    async with (
        partition(server.port) as link,
        hub(server.url) as storage,
        hub(server.url_at(link.port)) as slow,
    ):
        [seen] = await append(storage)
        await until(lambda: slow.head() == seen)
        link.stop_forwarding()
        link.sever()
        while int((await server.info("clients"))["blocked_clients"]) > 1:  # noqa: ASYNC110
            await trio.sleep(0.02)
        *missed, left = await append(storage, 3)
        await server.command("XTRIM", f"{{ado}}:events:{seen.epoch}", "MINID", f"{left.offset}-0")
        link.heal()
        await until(lambda: slow.head() == left)
        assert storage.head() == left
        assert await positions(slow) == [left]
        assert slow.locate(seen) == Located(slow.tail(), whole=False)
        assert slow.tail() == missed[-1]
        assert len(await positions(storage)) == 4
        [new] = await append(slow)
        assert new == Position(seen.epoch, left.offset + 1)
        await until(lambda: storage.head() == new)


# ── what others know ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_position_that_another_hub_gave_is_confirmed_once_it_is_here(
    server: Server, hub: Opening
) -> None:
    async with (
        partition(server.port) as link,
        hub(server.url) as storage,
        hub(server.url_at(link.port)) as behind,
    ):
        link.stop_forwarding()
        [given] = await append(storage)
        assert behind.locate(given) == Located(given, whole=True, certain=False)
        async with trio.open_nursery() as nursery:
            answers = []

            async def confirm() -> None:
                answers.append(await behind.confirm(given))

            nursery.start_soon(confirm)
            link.heal()
        assert answers == [Located(given, whole=True)]
        assert behind.head() == given


async def test_a_position_that_nobody_gave_is_not_whole(server: Server, hub: Opening) -> None:
    async with hub(server.url) as storage:
        [last] = await append(storage)
        invented = [Position(last.epoch, last.offset + 1), Position("zzzzzzzz0000", 1)]
        for one in invented:
            assert not storage.locate(one).certain
            assert await storage.confirm(one) == Located(storage.tail(), whole=False)


async def test_a_position_cannot_be_confirmed_while_the_server_is_gone(server: Server, hub: Opening) -> None:
    async with partition(server.port) as link, hub(server.url_at(link.port), timeout_ms=200) as storage:
        [last] = await append(storage)
        link.stop_forwarding()
        with pytest.raises(StorageError, match="Redis"):
            await storage.confirm(Position(last.epoch, last.offset + 1))


# ── several at once ──────────────────────────────────────────────────────────────────────────────────────


async def test_two_hubs_that_race_have_one_order_and_one_winner(server: Server, hub: Opening) -> None:
    async with hub(server.url) as one, hub(server.url) as other:
        first: list[Receipt] = []

        async def claim(storage: Storage, number: int) -> None:
            claims = [draft("state", f"k{number}", if_revision=0), draft(), draft("t.b", again=f"n{number}")]
            first.extend(await storage.append(claims))

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(claim, one, number)
                nursery.start_soon(claim, other, number)
        await until(lambda: one.head() == other.head())
        found = await read_all(one, EVERYTHING)
        assert found == await read_all(other, EVERYTHING)
        kept = [receipt.position for receipt in first if not (receipt.rejected or receipt.repeated)]
        assert sorted(kept) == [event.position for event in found]
        topics = [event.topic for event in found]
        assert (topics.count("state"), topics.count("t.a"), topics.count("t.b")) == (20, 40, 20)
