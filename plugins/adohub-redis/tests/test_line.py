"""A link that is made again: at once where it was of use, ever later where it was not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import trio
from adohub_redis.address import Address
from adohub_redis.line import FIRST_REST_S, LONGEST_REST_S, Line, Rests
from adohub_redis.testing import valkey
from trio.testing import MockClock

CUTS = 12

GROWN_S = sum(min(FIRST_REST_S * 2**nth, LONGEST_REST_S) for nth in range(CUTS)) / 2
"""The least that so many rests take if each is longer than the one before, in seconds."""


async def test_connections_that_are_cut_again_and_again_do_not_add_up_to_long_rests(tmp_path: Path) -> None:
    async with valkey(tmp_path) as server, trio.open_nursery() as nursery:
        line = Line(Address.parse(server.url), "{ado}")
        nursery.start_soon(line.run)
        with trio.fail_after(GROWN_S):
            for _ in range(CUTS):
                link = await line.link()
                await link.request("PING")
                await server.command("CLIENT", "KILL", "TYPE", "normal")
                await link.closed.wait()
            await line.link()
        nursery.cancel_scope.cancel()


async def test_a_server_that_hangs_up_at_once_is_asked_ever_less_often() -> None:
    asked = 0

    async def hang_up(stream: trio.SocketStream) -> None:
        nonlocal asked
        asked += 1
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        port = listener.socket.getsockname()[1]
        nursery.start_soon(Line(Address.parse(f"redis://127.0.0.1:{port}"), "{ado}").run)
        await trio.sleep(LONGEST_REST_S)
        nursery.cancel_scope.cancel()
    assert 0 < asked <= 8  # 20, 40, 80 … ms apart, and each a half of that at the least


def test_each_try_in_vain_makes_the_rest_longer_up_to_the_longest() -> None:
    async def rested() -> list[float]:
        rests, ends = Rests(), [trio.current_time()]
        for _ in range(CUTS):
            await rests.rest()
            ends.append(trio.current_time())
        return [after - before for before, after in pairwise(ends)]

    for nth, length in enumerate(trio.run(rested, clock=MockClock(autojump_threshold=0))):
        longest_s = min(FIRST_REST_S * 2**nth, LONGEST_REST_S)
        assert longest_s / 2 <= length <= longest_s
