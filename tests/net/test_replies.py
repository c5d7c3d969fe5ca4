"""Replies of one turn leave an outbox as one write, and in their place among what is pushed."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from adohub.net import outbox as module
from adohub.net.outbox import Outbox
from tests.net.test_outbox import CLOSE_FRAME, LIMIT, connected_sockets, read_exactly, read_to_end


@asynccontextmanager
async def gathering_outbox(
    limit: int = LIMIT,
) -> AsyncIterator[tuple[Outbox, trio.SocketStream, list[Outbox]]]:
    """An outbox that gathers replies, who is at the other end, and whom the outbox has told of."""
    ours, theirs = connected_sockets()
    told: list[Outbox] = []
    with trio.fail_after(30):
        async with (
            trio.open_nursery() as nursery,
            Outbox(ours, nursery, limit=limit, gather=told.append) as outbox,
        ):
            async with trio.SocketStream(trio.socket.from_stdlib_socket(theirs)) as peer:
                yield outbox, peer, told


class CountingSocket:
    """A socket that remembers what each `send` was given."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(bytes(data))
        return self._socket.send(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._socket, name)


async def test_replies_of_a_turn_are_one_write_and_tell_of_themselves_once() -> None:
    ours, theirs = connected_sockets()
    counting = CountingSocket(ours)
    told: list[Outbox] = []
    with theirs:
        async with trio.open_nursery() as nursery:
            outbox = Outbox(counting, nursery, limit=LIMIT, gather=told.append)  # type: ignore[arg-type]
            for turn in range(3):
                for reply in (b"a", b"b", b"c"):
                    outbox.send(reply)
                assert told == [outbox] * (turn + 1)
                assert (counting.sent, outbox.queued) == ([b"abc"] * turn, 3)
                outbox.flush()
                assert (counting.sent, outbox.queued) == ([b"abc"] * (turn + 1), 0)
            outbox.flush()
            assert len(counting.sent) == 3
            outbox.abort()


async def test_a_push_comes_after_the_replies_before_it_and_before_those_after() -> None:
    async with gathering_outbox() as (outbox, peer, told):
        outbox.send(b"first")
        assert outbox.push(b"second")
        outbox.send(b"third")
        await outbox.send_all(b"fourth")
        outbox.send(b"fifth")
        outbox.flush()
        assert await read_exactly(peer, 27) == b"firstsecondthirdfourthfifth"
        assert told == [outbox] * 3


async def test_waiting_for_room_writes_what_is_gathered_first() -> None:
    async with gathering_outbox(limit=10) as (outbox, peer, _):
        outbox.send(b"x" * 6)
        assert outbox.queued == 6
        await outbox.room()
        assert outbox.queued == 0
        assert await read_exactly(peer, 6) == b"x" * 6


async def test_many_replies_do_not_wait_for_the_turns_end() -> None:
    async with gathering_outbox(limit=2**30) as (outbox, peer, _):
        for _ in range(3):
            outbox.send(b"x" * (module.GATHER_BYTES // 2))
        assert await read_exactly(peer, module.GATHER_BYTES) == b"x" * module.GATHER_BYTES
        outbox.flush()
        assert await read_exactly(peer, module.GATHER_BYTES // 2) == b"x" * (module.GATHER_BYTES // 2)


async def test_what_was_gathered_before_the_last_frame_is_sent_and_nothing_after() -> None:
    async with gathering_outbox() as (outbox, peer, _):
        outbox.send(b"reply")
        outbox.send(CLOSE_FRAME)
        outbox.seal()
        outbox.send(b"never")
        assert outbox.push(b"never")
        outbox.flush()
        await outbox.aclose()
        assert await read_to_end(peer) == b"reply" + CLOSE_FRAME


async def test_replies_to_a_peer_that_is_gone_go_nowhere() -> None:
    async with gathering_outbox() as (outbox, _, told):
        outbox.send(b"reply")
        outbox.abort()
        outbox.send(b"another")
        outbox.flush()
        assert (outbox.queued, told) == (0, [outbox])
