"""Of the hubs that would do something one does it, and the next one knows how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from adohub_redis.address import Address
from adohub_redis.keys import Keys
from adohub_redis.line import Line
from adohub_redis.server import LEASE_S, Server
from adohub_redis.testing import Server as Valkey
from adohub_redis.testing import partition
from adohub_redis.turn import Turn
from attrs import define, field

from adohub import StorageSettings

DEADLINE_S = 30.0


@define(eq=False)
class Hub:
    """A hub that would take its turn."""

    turn: Turn
    heeded: list[str]
    able: list[bool]
    running: trio.CancelScope = field(factory=trio.CancelScope)

    async def run(self) -> None:
        with self.running:
            await self.turn.run()


@asynccontextmanager
async def a_hub(server: Valkey, name: str, *, port: int = 0) -> AsyncIterator[Hub]:
    heeded: list[str] = []
    able = [True]
    settings = StorageSettings(1000, 3600, 300, instance=name)
    line = Line(Address.parse(server.url_at(port or server.port)), "{ado}")
    turn = Turn(Server(Keys("ado"), settings), line, "work", heed=heeded.append, is_able=lambda: able[-1])
    hub = Hub(turn, heeded, able)
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.run)
            nursery.start_soon(hub.run)
            yield hub
            nursery.cancel_scope.cancel()


async def test_one_has_the_turn_until_it_ends_and_leaves_word(server: Valkey) -> None:
    async with a_hub(server, "one") as one:
        await one.turn.mine()
        async with a_hub(server, "other") as other:
            one.turn.so_far = "7"
            while other.heeded[-1:] != ["7"]:
                assert not other.turn.is_mine
                await trio.sleep(0.01)
            one.turn.so_far = "8"
            one.running.cancel()
            with trio.fail_after(LEASE_S / 2):
                await other.turn.mine()
            assert other.heeded[-1] == "8"


async def test_who_is_not_able_lets_others_do_it_at_once(server: Valkey) -> None:
    async with a_hub(server, "one") as one:
        await one.turn.mine()
        async with a_hub(server, "other") as other:
            one.able.append(False)
            assert not one.turn.is_mine
            with trio.fail_after(LEASE_S - 1):
                await other.turn.mine()


async def test_who_is_cut_off_has_no_turn_any_more_when_another_gets_it(server: Valkey) -> None:
    async with partition(server.port) as link, a_hub(server, "one", port=link.port) as one:
        await one.turn.mine()
        async with a_hub(server, "other") as other:
            one.turn.so_far = "3"
            link.stop_forwarding()
            await other.turn.mine()
            assert not one.turn.is_mine
            other.turn.so_far = "9"
            link.heal()
            while one.heeded[-1:] != ["9"]:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)
            assert not one.turn.is_mine
            assert other.turn.is_mine
