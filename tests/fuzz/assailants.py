"""`python -m tests.fuzz.assailants PORT FRAMES SEED FIRST HEAVY`: spoiled frames from another process.

Behind them a ping is sent, and its pong or the connection's end waited for: what is counted has been read and
dealt with. What a connection says depends on the seed and its own number alone; FIRST is the first's.
HEAVY is 1 if some frames are to give much work.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from random import Random

import trio
from attrs import asdict, define, field

from tests.fuzz.frames import Borders, frame_end, spoiled, within
from tests.net import raw

AT_ONCE = 20
"""How many connections there are at a time."""

PATIENCE_S = 20.0
"""After how many seconds a hub that says nothing has hung."""

TARGETS = ("/", "/", "/trpc", "/?transformer=superjson", "/?connectionParams=1")
TURNS = (1, 4, 16, 64)
"""How often a connection speaks, unless the hub ends it first."""

VOLLEYS = (1, 1, 1, 1, 1, 1, 1, 1, 2, 8)
"""How many frames it sends at once."""


@define
class Tally:
    """What came of it: so many `frames` were answered, by a pong or by the end of their connection.

    Connections were `closed` by the hub with a close frame, `ended` by it without, or `left`; to the `silent`
    ones it said nothing in time.
    """

    frames: int = 0
    connections: int = 0
    closed: int = 0
    ended: int = 0
    left: int = 0
    silent: int = 0


@define(eq=False)
class Answers:
    """What the hub says on one connection."""

    upgraded: bool = False
    pings: int = 0
    """The number of the last ping that it has answered."""
    closing: bool = False
    over: bool = False
    _rest: bytes = b""
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    async def read(self, stream: trio.SocketStream) -> None:
        """Take in all there is."""
        try:
            async for chunk in stream:
                self._take(self._rest + chunk)
                self._news.unpark_all()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # its way to end, or ours
        self.over = True
        self._news.unpark_all()

    async def news(self) -> None:
        """Wait for more."""
        await self._news.park()

    def _take(self, data: bytes) -> None:
        at = 0
        if not self.upgraded and b"\r\n\r\n" in data:
            assert data.startswith(b"HTTP/1.1 101 "), data
            self.upgraded, at = True, data.index(b"\r\n\r\n") + 4
        if self.upgraded:
            while (end := frame_end(data, at)) is not None and end <= len(data):
                if data[at] == 0x80 | raw.PONG and end - at == 6:
                    self.pings = int.from_bytes(data[at + 2 : end], "big")
                self.closing = self.closing or data[at] == 0x80 | raw.CLOSE
                at = end
        self._rest = data[at:]


@define(eq=False)
class Assailant:
    """One connection. `say` until it is over, then `leave`."""

    stream: trio.SocketStream
    random: Random
    with_heavy: bool
    answers: Answers = field(factory=Answers)
    _borders: Borders = field(factory=Borders)
    _pings: int = 0

    async def say(self, tally: Tally) -> None:
        """Whatever chance says, until chance or the hub has had enough."""
        waiting = 0
        for left in reversed(range(self.random.choice(TURNS))):
            waiting += await self._volley()
            if left and not self._borders.is_here and self.random.randrange(2):
                continue  # what comes next fills the frame, or breaks it
            if not await self._is_answered():
                tally.frames += 1  # which of them ended it is not known: the others do not count
                return
            tally.frames += waiting
            waiting = 0

    async def leave(self) -> None:
        """Be gone, in one way or another."""
        how = "end" if self.answers.closing else self.random.choice(("end", "end", "close", "reset"))
        if how == "reset":
            raw.reset(self.stream)
        elif how == "end":
            await self._end()

    async def _volley(self) -> int:
        number = self.random.choice(VOLLEYS)
        spoil = spoiled if number == 1 else within
        data = b"".join(spoil(self.random, with_heavy=self.with_heavy) for _ in range(number))
        self._borders.add(data)
        cut = self.random.randint(0, len(data)) if self.random.randrange(8) == 0 else 0
        for part in (data[:cut], data[cut:]):
            await self._send(part)
        return number

    async def _is_answered(self) -> bool:
        """Whether the hub goes on after what was said. It does not if that ends within a frame."""
        if not self._borders.is_here:
            await self._end()
            return False
        self._pings += 1
        await self._send(raw.frame(raw.PING, struct.pack("!I", self._pings)))
        while self.answers.pings < self._pings and not self.answers.over and not self.answers.closing:
            await self.answers.news()
        return self.answers.pings == self._pings

    async def _end(self) -> None:
        with suppress(trio.BrokenResourceError):  # it was first
            await self.stream.send_eof()
        while not self.answers.over:
            await self.answers.news()

    async def _send(self, data: bytes) -> None:
        with suppress(trio.BrokenResourceError):  # it has heard enough, as will be read
            await self.stream.send_all(data)


async def attack(port: int, random: Random, tally: Tally, *, with_heavy: bool) -> None:
    """One connection, from its beginning to its end."""
    tally.connections += 1
    with trio.move_on_after(PATIENCE_S) as patience:
        async with await raw.connected(port) as stream, trio.open_nursery() as nursery:
            assailant = Assailant(stream, random, with_heavy)
            answers = assailant.answers
            nursery.start_soon(answers.read, stream)
            await stream.send_all(raw.upgrade(random.choice(TARGETS)))
            while not answers.upgraded:
                assert not answers.over, "no handshake"
                await answers.news()
            await assailant.say(tally)
            tally.closed += answers.closing
            tally.ended += answers.over and not answers.closing
            tally.left += not answers.over and not answers.closing
            await assailant.leave()
            nursery.cancel_scope.cancel()
    tally.silent += patience.cancelled_caught


async def barrage(port: int, frames: int, seed: int, first: int, heavy: int) -> Tally:
    """Attack, AT_ONCE at a time, until so many frames have been answered."""
    tally, numbers = Tally(), count(first)

    async def keep_on(numbers: Iterator[int]) -> None:
        while tally.frames < frames:
            await attack(port, Random(f"{seed}.{next(numbers)}"), tally, with_heavy=bool(heavy))

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(keep_on, numbers)
    return tally


if __name__ == "__main__":
    port, frames, seed, first, heavy = map(int, sys.argv[1:])
    sys.stdout.write(json.dumps(asdict(trio.run(barrage, port, frames, seed, first, heavy))) + "\n")
