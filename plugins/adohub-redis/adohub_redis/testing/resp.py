"""One command and its answer over a connection of its own: RESP2, as the server's documentation has it.

The client library is left out on purpose: what drives a test should not be what the test is about.
"""

from __future__ import annotations

from typing import TypeAlias

import trio

Answer: TypeAlias = "str | int | list[Answer] | None"
"""What a server answers: a text (bulk or simple), a number, an array of answers, or nothing."""


class Refused(Exception):
    """The server answered with an error; its words are the exception's."""


class Replies:
    """What a server sends, read answer by answer. Raises BrokenResourceError when it ends in the middle."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._read = bytearray()

    async def answer(self) -> Answer:
        """The next one. Raises Refused if it is an error."""
        line = await self._line()
        kind, rest = line[:1], line[1:]
        match kind:
            case "+":
                return rest
            case "-":
                raise Refused(rest)
            case ":":
                return int(rest)
            case "$":
                return None if rest == "-1" else await self._bulk(int(rest))
            case "*":
                return None if rest == "-1" else [await self.answer() for _ in range(int(rest))]
            case _:
                raise trio.BrokenResourceError(f"this is no RESP2: {line!r}")

    async def _line(self) -> str:
        while (end := self._read.find(b"\r\n")) < 0:
            await self._more()
        return self._taken(end)

    async def _bulk(self, size: int) -> str:
        while len(self._read) < size + 2:
            await self._more()
        return self._taken(size)

    async def _more(self) -> None:
        chunk = await self._stream.receive_some()
        if not chunk:
            raise trio.BrokenResourceError("the server closed the connection in the middle of an answer")
        self._read += chunk

    def _taken(self, size: int) -> str:
        """Take `size` bytes and the line end behind them."""
        text = self._read[:size].decode(errors="replace")
        del self._read[: size + 2]
        return text


def request(*words: str | int) -> bytes:
    """A command as an array of bulk strings."""
    encoded = [str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(encoded), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)])


async def ask(port: int, *words: str | int, password: str | None = None) -> Answer:
    """The answer of the server at `port` to one command, after AUTH with `password` if there is one.

    Raises OSError if nothing listens there, BrokenResourceError if the connection ends, Refused.
    """
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        replies = Replies(stream)
        if password is not None:
            await stream.send_all(request("AUTH", password))
            await replies.answer()
        await stream.send_all(request(*words))
        return await replies.answer()
