"""`websockets.broadcast` on uvloop: the fast way to send to many that asyncio knows. Prints its address.

It speaks the bare dialect: "S3" subscribes to task 3, "P3 …" publishes to it, "+" answers either.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

subscribers: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def obey(connection: ServerConnection, message: str) -> None:
    """Carry out one request and answer it."""
    task, _, event = message[1:].partition(" ")
    if message[0] == "S":
        subscribers[task].add(connection)
    else:
        broadcast(subscribers[task], event)
    await connection.send("+")


async def attend(connection: ServerConnection) -> None:
    """One connection, until it ends."""
    with suppress(ConnectionClosed):
        async for message in connection:
            assert isinstance(message, str)
            await obey(connection, message)
    for members in subscribers.values():
        members.discard(connection)


async def main() -> None:
    """Serve on a free port for ever."""
    async with serve(attend, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ready at ws://127.0.0.1:{port}", flush=True)  # noqa: T201 - whoever started it reads this
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
