"""The outbox is the only writer of its socket: one order, bounded pushes, nothing after the last frame.

`trio.testing.check_two_way_stream` runs on it, with three departures. It gets no clogged stream: those checks
demand BusyResourceError of a second `send_all`, where an outbox keeps the order of the calls (below). Close
frames are not looked for, because the check sends random bytes, of which some look like one. And there is no
`check_half_closeable_stream`: an outbox has no `send_eof`, since a WebSocket says goodbye with a frame.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from adohub.net import outbox as module
from adohub.net.outbox import LINGER_S, Outbox
from adohub.wire.frame import text_frame

CLOSE_FRAME = b"\x88\x02\x03\xf4"
LIMIT = 10_000
FILLING = b"x" * 4_000_000
"""More than the kernel holds for two loopback sockets with small buffers."""


def connected_sockets(*, buffer_bytes: int = 8192) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection, non-blocking; `buffer_bytes` is what the kernel may hold for each."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        ours.connect(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@asynccontextmanager
async def outbox_and_peer(limit: int = LIMIT) -> AsyncIterator[tuple[Outbox, trio.SocketStream]]:
    """An outbox and who is at the other end; all of it within a generous deadline."""
    ours, theirs = connected_sockets()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, Outbox(ours, nursery, limit=limit) as outbox:
            async with trio.SocketStream(trio.socket.from_stdlib_socket(theirs)) as peer:
                yield outbox, peer


async def read_exactly(peer: trio.abc.ReceiveStream, number: int) -> bytes:
    received = bytearray()
    while len(received) < number:
        chunk = await peer.receive_some(number - len(received))
        assert chunk, "the connection ended early"
        received += chunk
    return bytes(received)


async def read_to_end(peer: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(chunk) async for chunk in peer])


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_push_send_and_send_all_keep_the_order_of_their_calls() -> None:
    async with outbox_and_peer(limit=2**30) as (outbox, peer), trio.open_nursery() as nursery:
        expected = bytearray()

        async def send_all(data: bytes) -> None:
            await outbox.send_all(data)

        for number in range(200):
            data = str(number).encode() * 500
            expected += data
            if number % 3 == 0:
                assert outbox.push(data)
            elif number % 3 == 1:
                outbox.send(data)
            else:
                nursery.start_soon(send_all, data)
                await trio.testing.wait_all_tasks_blocked()
        assert await read_exactly(peer, len(expected)) == expected


async def test_what_the_socket_does_not_take_at_once_is_drained() -> None:
    async with outbox_and_peer() as (outbox, peer):
        outbox.send(FILLING)
        assert 0 < outbox.queued < len(FILLING)
        assert await read_exactly(peer, len(FILLING)) == FILLING
        assert outbox.queued == 0


async def test_frames_behind_a_partial_write_stay_behind_it() -> None:
    async with outbox_and_peer(limit=2**30) as (outbox, peer):
        outbox.send(FILLING)
        assert outbox.push(b"second")
        outbox.send(b"third")
        received = await read_exactly(peer, len(FILLING) + 11)
        assert received == FILLING + b"secondthird"


async def test_a_cancelled_send_all_leaves_no_torn_frame() -> None:
    async with outbox_and_peer() as (outbox, peer), trio.open_nursery() as nursery:
        nursery.start_soon(outbox.send_all, FILLING)
        await trio.testing.wait_all_tasks_blocked()
        assert outbox.queued > 0
        nursery.cancel_scope.cancel()
        outbox.send(b"next frame")
        with trio.CancelScope(shield=True):
            received = await read_exactly(peer, len(FILLING) + 10)
            assert received == FILLING + b"next frame"


async def test_a_send_all_cancelled_before_it_began_sends_nothing() -> None:
    async with outbox_and_peer() as (outbox, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await outbox.send_all(b"never")
        outbox.send(b"next")
        assert await read_exactly(peer, 4) == b"next"


# ── the limit ────────────────────────────────────────────────────────────────────────────────────────────


async def test_push_is_taken_below_the_limit_and_refused_at_it() -> None:
    async with outbox_and_peer(limit=len(FILLING) + 1000) as (outbox, _):
        outbox.send(FILLING)
        free = len(FILLING) + 1000 - outbox.queued
        assert outbox.push(b"x" * (free - 1))  # one byte below
        assert outbox.push(b"whole or not at all")
        before = outbox.queued
        assert not outbox.push(b"y")
        assert outbox.queued == before


async def test_an_outbox_that_is_exactly_full_takes_no_more() -> None:
    async with outbox_and_peer(limit=2 * len(FILLING)) as (outbox, _):
        outbox.send(FILLING)
        assert outbox.push(b"x" * (2 * len(FILLING) - outbox.queued))
        assert outbox.queued == 2 * len(FILLING)
        assert not outbox.push(b"")


async def test_send_is_taken_beyond_the_limit() -> None:
    async with outbox_and_peer() as (outbox, peer):
        outbox.send(FILLING)
        outbox.send(b"a reply")
        assert (await read_exactly(peer, len(FILLING) + 7)).endswith(b"a reply")


async def test_a_refused_push_sends_nothing_and_there_is_room_again_once_the_peer_reads() -> None:
    async with outbox_and_peer() as (outbox, peer), trio.open_nursery() as nursery:
        outbox.send(FILLING)
        assert not outbox.push(b"refused")

        async def push_when_there_is_room() -> None:
            await outbox.room()
            assert outbox.queued * 2 <= LIMIT
            assert outbox.push(b"taken")

        nursery.start_soon(push_when_there_is_room)
        await trio.testing.wait_all_tasks_blocked()
        assert await read_exactly(peer, len(FILLING) + 5) == FILLING + b"taken"


async def test_nothing_but_the_waiting_for_room_can_be_interrupted() -> None:
    """Nobody else may run between a cursor's reading of the head and its joining, so these must not yield."""
    async with outbox_and_peer() as (outbox, _):
        with trio.testing.assert_no_checkpoints():
            await outbox.room()
            assert outbox.push(FILLING)
            outbox.send(b"x")
            assert not outbox.push(b"refused")
            outbox.seal()
            assert outbox.push(b"goes nowhere")


# ── the last frame ───────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_close_frame_nothing_is_sent() -> None:
    async with outbox_and_peer() as (outbox, peer):
        outbox.send(text_frame(b"last words"))
        await outbox.send_all(CLOSE_FRAME)
        outbox.send(text_frame(b"too late"))
        assert outbox.push(text_frame(b"too late"))
        await outbox.send_all(text_frame(b"too late"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.aclose)
            assert await read_to_end(peer) == text_frame(b"last words") + CLOSE_FRAME
            await peer.aclose()


async def test_after_a_close_frame_a_full_outbox_still_refuses_nobody() -> None:
    async with outbox_and_peer() as (outbox, _):
        outbox.send(FILLING)
        outbox.seal()
        assert outbox.push(b"goes nowhere"), "a refusal would send the cursor to storage for nothing"


# ── endings ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_peer_that_is_gone_breaks_the_outbox_and_frees_what_was_queued() -> None:
    async with outbox_and_peer() as (outbox, peer):
        outbox.send(FILLING)
        await trio.aclose_forcefully(peer)  # with bytes unread, so it is a reset
        await outbox.room()
        assert outbox.queued == 0
        assert outbox.push(b"goes nowhere")
        outbox.send(b"goes nowhere")
        assert outbox.queued == 0
        with pytest.raises(trio.BrokenResourceError):
            await outbox.send_all(b"x")


async def test_a_reset_is_seen_by_who_reads() -> None:
    async with outbox_and_peer() as (outbox, peer):
        outbox.send(b"unread")
        await trio.aclose_forcefully(peer)
        with pytest.raises(trio.BrokenResourceError):
            await outbox.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await outbox.send_all(b"x")


async def test_a_waiter_for_room_is_let_go_when_the_outbox_is_aborted() -> None:
    async with outbox_and_peer() as (outbox, _), trio.open_nursery() as nursery:
        outbox.send(FILLING)
        nursery.start_soon(outbox.room)
        await trio.testing.wait_all_tasks_blocked()
        outbox.abort()


async def test_closing_passes_on_what_is_queued() -> None:
    async with outbox_and_peer() as (outbox, peer), trio.open_nursery() as nursery:
        outbox.send(FILLING)
        nursery.start_soon(outbox.aclose)
        assert await read_to_end(peer) == FILLING
        await peer.aclose()


async def test_closing_passes_on_what_is_queued_also_when_all_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LINGER_S", 20)
    ours, theirs = connected_sockets()
    peer = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))

    async def hold_open_until_cancelled() -> None:
        async with trio.open_nursery() as nursery, Outbox(ours, nursery, limit=LIMIT) as outbox:
            outbox.send(FILLING)
            await trio.sleep_forever()

    with trio.fail_after(30):
        async with peer, trio.open_nursery() as nursery:
            nursery.start_soon(hold_open_until_cancelled)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                assert await read_to_end(peer) == FILLING
                await peer.aclose()


@pytest.mark.parametrize("queued", [b"", FILLING], ids=["nothing queued", "much queued"])
async def test_closing_waits_for_a_silent_peer_no_longer_than_it_says(queued: bytes) -> None:
    async with outbox_and_peer() as (outbox, _):
        outbox.send(queued)
        began = trio.current_time()
        await outbox.aclose()
        took = trio.current_time() - began
        assert LINGER_S * 0.9 <= took < LINGER_S + 10


async def test_closing_hears_the_peer_out_so_that_our_last_words_are_not_reset_away() -> None:
    async with outbox_and_peer() as (outbox, peer), trio.open_nursery() as nursery:
        outbox.send(b"413: too much")
        nursery.start_soon(outbox.aclose)
        await peer.send_all(b"the body goes on and on" * 100)
        assert await read_to_end(peer) == b"413: too much"
        await peer.aclose()


async def test_what_was_put_back_is_read_first() -> None:
    async with outbox_and_peer() as (outbox, peer):
        outbox.unread(b"second")
        outbox.unread(b"first")
        await peer.send_all(b"third")
        assert await read_exactly(outbox, 16) == b"firstsecondthird"


async def test_only_bytes_of_the_socket_count_as_a_sign_of_life() -> None:
    async with outbox_and_peer() as (outbox, peer):
        heard_at = outbox.last_received
        outbox.unread(b"old news")
        await outbox.receive_some()
        assert outbox.last_received == heard_at
        await peer.send_all(b"news")
        await outbox.receive_some()
        assert outbox.last_received > heard_at


# ── as a Stream ──────────────────────────────────────────────────────────────────────────────────────────


async def test_it_is_a_trio_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.01)  # the check closes many streams whose peer stays silent
    monkeypatch.setattr(module, "is_close_frame", lambda _: False)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def make() -> tuple[Outbox, Outbox]:
                ours, theirs = connected_sockets(buffer_bytes=2**18)
                return Outbox(ours, nursery, limit=LIMIT), Outbox(theirs, nursery, limit=LIMIT)

            await trio.testing.check_two_way_stream(make, None)
