"""The only writer of one socket: everything leaves in the order in which it was put here.

Two ways in, and they differ in when they write, and in what happens to a peer that does not read:

    push    whole frames of subscriptions, written at once, refused while more than the limit is queued
    send    replies, always taken: whoever calls it reads no further request before there is `room`; those of
            one turn of the scheduler are gathered and written as one (`adohub.net.turn`), or before a push

What the socket takes at once never waits; a task that drains the rest lives only while there is a rest.
The outbox is a trio Stream as well, so that trio-websocket can do handshake and control frames through it.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from adohub.net.tls import Certificate, TlsSocket
from adohub.wire.frame import is_close_frame

RECEIVE_BYTES = 65536
"""How much one read takes from a socket at most."""

GATHER_BYTES = 64 * 1024
"""How many bytes of replies are gathered before they are written without waiting for the turn's end."""

REPLAY_BYTES = 32 * 1024
"""How many bytes may be queued when a replay adds to them: a PONG has to pass all that was queued before."""

LINGER_S = 1.0
"""How long a closing socket may take to pass on what is queued and to hear the peer, in seconds."""


class Outbox(trio.abc.Stream):
    """One connected, non-blocking stdlib socket. `limit`: queued bytes beyond which `push` is refused.

    `gather` is told when the first reply of a turn is in, and calls `flush` at the turn's end; without it
    every reply is written at once.

    As a Stream it departs from trio's contract in one point: several tasks may be in `send_all` at once,
    and their bytes leave in the order of the calls.
    """

    __slots__ = (
        "_broken",
        "_closed",
        "_draining",
        "_gather",
        "_gathered",
        "_limit",
        "_pending",
        "_progress",
        "_queue",
        "_queued",
        "_socket",
        "_take",
        "_unread",
        "last_received",
        "nursery",
    )

    def __init__(
        self,
        sock: socket.socket,
        nursery: trio.Nursery,
        *,
        limit: int,
        gather: Callable[[Outbox], None] | None = None,
    ) -> None:
        self._socket: socket.socket | TlsSocket = sock
        self._pending: Callable[[], bool] | None = None
        """Whether there is something to read without the socket's being readable, where that can be."""
        self.nursery = nursery
        """In which runs what is done for this socket; all sockets share it."""
        self._limit = limit
        self._gather = gather
        self._gathered: list[bytes] | None = None
        self._queue: deque[memoryview] | None = None
        self._queued = 0
        self._take: Callable[[bytes], int] = sock.send
        """What new frames are given to, and how many of their bytes it took: the socket, or `len`.

        `len` takes all of them nowhere: that is how an outbox that is sealed or broken costs `push` nothing.
        """
        self._draining = False
        self._unread = b""
        self._progress: trio.Event | None = None
        self._broken = False
        self._closed = False
        self.last_received = trio.current_time()
        """When the peer was last heard, on trio's clock, in seconds."""

    async def secure(self, certificate: Certificate) -> bool:
        """Speak TLS from now on, before anything else has been said; False if the peer does not want to.

        Raises trio.BrokenResourceError when there is no agreement.
        """
        assert isinstance(self._socket, socket.socket), "it does so already"
        secured = await certificate.secured(self._socket)
        if secured is None:
            return False
        self._socket, self._take, self._pending = secured, secured.send, secured.pending
        return True

    @property
    def queued(self) -> int:
        """How many bytes wait for the socket."""
        return self._queued

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────

    def push(self, frames: bytes) -> bool:
        """Take `frames`, or refuse them (False) because the peer does not keep up.

        After the last frame, or when the peer is gone, they are taken and go nowhere. This is the inside of
        the loop over all subscribers: what need not be done once per socket is not done here.
        """
        if self._gathered:
            self.flush()
        if self._queue:
            return self._push_behind(frames)
        try:
            sent = self._take(frames)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._break()
            return True
        if sent != len(frames):
            self._enqueue(frames, sent)
        return True

    def _push_behind(self, frames: bytes) -> bool:
        if self._take is len:
            return True
        if self._queued >= self._limit:
            return False
        self._enqueue(frames, 0)
        return True

    def send(self, frame: bytes) -> None:
        """Take `frame`, whatever is queued."""
        if self._take is len:
            return
        if self._gather is None:
            self._write(frame)
            return
        if self._gathered is None:
            self._gathered = []
            self._gather(self)
        self._gathered.append(frame)
        self._queued += len(frame)
        if self._queued >= GATHER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the replies that have been gathered."""
        if self._gathered is not None:
            frames = b"".join(self._gathered)
            self._gathered = None
            self._queued -= len(frames)
            self._write(frames)

    def seal(self) -> None:
        """The last frame is in: whatever is put here after it goes nowhere."""
        self.flush()
        self._take = len

    @property
    def is_crowded(self) -> bool:
        """Whether `room` would have to wait, or to write first."""
        return self._queued * 2 > self._limit

    @property
    def is_gone(self) -> bool:
        """Whether nothing that is put here gets to the peer any more, since its connection is broken."""
        return self._broken

    async def room(self) -> None:
        """Wait until less than half the limit is queued. No checkpoint if it is so already."""
        await self._queued_at_most(self._limit // 2)

    async def lull(self) -> None:
        """Wait until there is next to nothing queued, for what comes in any amount. Else like `room`."""
        await self._queued_at_most(min(REPLAY_BYTES, self._limit // 2))

    async def drained(self) -> None:
        """Wait until the socket has taken everything. Else like `room`."""
        await self._queued_at_most(0)

    async def _queued_at_most(self, number: int) -> None:
        self.flush()
        while self._queued > number and not self._broken:
            await self._more_progress()

    async def _more_progress(self) -> None:
        if self._progress is None:
            self._progress = trio.Event()
        await self._progress.wait()

    def _write(self, data: bytes) -> None:
        """`push` without a limit, for what has been taken already."""
        sent = 0
        if not self._queue:
            try:
                sent = self._take(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._break()
                return
        if sent != len(data):
            self._enqueue(data, sent)

    def _enqueue(self, data: bytes, sent: int) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(memoryview(data)[sent:])
        self._queued += len(data) - sent
        if not self._draining:
            self._draining = True
            self.nursery.start_soon(self._drain)

    async def _drain(self) -> None:
        """Shielded: what is queued is still passed on when the connection is cancelled, until `abort`."""
        try:
            with trio.CancelScope(shield=True):
                while self._queue:
                    await trio.lowlevel.wait_writable(self._socket)
                    self._write_queued()
                    self._report_progress()
        except (OSError, trio.ClosedResourceError):
            self._break()
        finally:
            self._draining = False
            self._queue = self._queue or None

    def _write_queued(self) -> None:
        while self._queue:
            try:
                sent = self._socket.send(self._queue[0])
            except (BlockingIOError, InterruptedError):
                return
            self._queued -= sent
            if sent == len(self._queue[0]):
                self._queue.popleft()
            else:
                self._queue[0] = self._queue[0][sent:]

    def _break(self) -> None:
        self._broken = True
        self._take = len
        self._queue = self._gathered = None
        self._queued = 0
        self._report_progress()

    def _report_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    # ── the Stream that trio-websocket writes through ────────────────────────────────────────────────

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Take `data` whole, then wait for room: a cancelled caller never leaves half a frame."""
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        frame = bytes(data)
        self.flush()
        if self._take is not len:
            self._write(frame)
            if is_close_frame(frame):
                self.seal()
        await self.room()
        if self._closed:
            raise trio.ClosedResourceError("this socket was closed meanwhile")
        if self._broken:
            raise trio.BrokenResourceError("the peer is gone")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        await self.room()

    def give_up_after(self, seconds: float) -> None:
        """Take the peer for gone when it acknowledges nothing of what it was sent for so long."""
        if self._socket.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────

    def unread(self, data: bytes) -> None:
        """Put back what was read, to be read again first."""
        self._unread = data + self._unread

    def take_unread(self) -> bytes:
        """What was put back and not read again."""
        data, self._unread = self._unread, b""
        return data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What the peer has sent, b"" at its end. Raises trio.BrokenResourceError when it is gone."""
        await trio.lowlevel.checkpoint()
        limit = RECEIVE_BYTES if max_bytes is None else max_bytes
        if limit < 1:
            raise ValueError("max_bytes must be positive")
        while (data := self.received(limit)) is None:
            await trio.lowlevel.wait_readable(self._socket)
        return data

    def readable(self) -> Awaitable[None]:
        """Wait until `received` has something to tell. Raises trio.ClosedResourceError when it is closed."""
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        if self._pending is not None and self._pending():
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - as below
        return trio.lowlevel.wait_readable(self._socket)  # noqa: ASYNC105 - without a frame of its own

    def received(self, limit: int) -> bytes | None:
        """What the peer has sent by now, b"" at its end, None if nothing. Raises like `receive_some`."""
        if self._unread:
            data, self._unread = self._unread[:limit], self._unread[limit:]
            return data
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        try:
            data = self._socket.recv(limit)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            self._break()
            raise trio.BrokenResourceError("the peer is gone") from error
        self.last_received = trio.current_time()
        return data

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────

    async def aclose(self) -> None:
        """Pass on what is queued, say the end, hear the peer's, and close: within LINGER_S, also cancelled.

        Closing while the peer's bytes are unread would reset the connection, and take our last words,
        still on their way, with it.
        """
        if not self._closed:
            self.seal()
            with trio.move_on_after(LINGER_S, shield=True):
                await self._say_goodbye()
            self.abort()
        await trio.lowlevel.checkpoint()

    async def _say_goodbye(self) -> None:
        while self._queue and not self._broken:
            await self._more_progress()
        try:
            await self._shut_down()
            while await self.receive_some():
                pass
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return

    async def _shut_down(self) -> None:
        while True:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except BlockingIOError:  # TLS has a word of its own to say
                await trio.lowlevel.wait_writable(self._socket)
            else:
                return

    def abort(self) -> None:
        """Close at once; the peer sees the connection end without a word."""
        if not self._closed:
            self._closed = True
            self._break()
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
