"""One connection to the server that holds the events, whichever it is just now.

Law: a link whose answer was not waited for to its end is of no use any more, and is closed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import trio
from coredis import exceptions
from coredis.connection import (
    BaseConnection,
    BaseConnectionParams,
    TCPConnection,
    TCPLocation,
    UnixDomainSocketConnection,
    UnixDomainSocketLocation,
)

from adohub_redis.address import Address, Endpoint, Login
from adohub_redis.faults import UnreachableError, translated
from adohub_redis.scripts import Script

CONNECT_S = 2.0
"""How long connecting to one server may take, and then its answer to who we are, in seconds each."""

ANSWER_S = 2.0
"""How long an answer may take, in seconds, unless more is asked for."""

Value = bytes | str | int | float

logging.getLogger("coredis").propagate = False  # what goes wrong is said once, by us, and in fewer words


class Link:
    """An open connection to the server at `endpoint`."""

    def __init__(self, connection: BaseConnection, endpoint: Endpoint) -> None:
        self._connection = connection
        self.endpoint = endpoint
        self.closed = trio.Event()
        self.fault = f"the connection to Redis at {endpoint} was lost"
        """Why it is of no use any more, once it is not."""
        self.was_of_use = False
        """Whether anything that was asked has been answered."""

    async def request(self, name: str, *arguments: Value, within_s: float = ANSWER_S) -> Any:
        """What the server answers, undecoded. Many may ask at once; it answers in their order.

        Raises UnreachableError, after which the link is closed; StorageError.
        """
        try:
            with translated(self.endpoint):
                answer = await self._connection.create_request(
                    name.encode(), *arguments, decode=False, timeout=within_s, disconnect_on_cancellation=True
                )
        except UnreachableError as error:
            self.fault = str(error)
            self.close()
            raise
        self.was_of_use = True
        return answer

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Value], *, within_s: float = ANSWER_S
    ) -> Any:
        """What `script` returns. Raises as `request` does."""
        try:
            return await self.request(
                "EVALSHA", script.digest, len(keys), *keys, *arguments, within_s=within_s
            )
        except exceptions.NoScriptError:
            return await self.request("EVAL", script.text, len(keys), *keys, *arguments, within_s=within_s)

    def subscribe(self, *channels: str) -> None:
        """Ask for what is published there from now on, for `hear`. A refusal is the next request's answer."""
        with translated(self.endpoint):
            self._connection.send_command(b"SUBSCRIBE", *channels)

    async def hear(self, take: Callable[[bytes, bytes], None]) -> None:
        """Hand each message to `take`, with its channel, in the server's order.

        Ends with UnreachableError, when the link is closed. What is not handed on yet is kept in memory: the
        server cannot be told to wait.
        """
        with translated(self.endpoint):
            async with aclosing(self._connection.push_messages) as pushes:
                async for push in pushes:
                    match push:
                        case [b"message", bytes(channel), bytes(text)]:
                            take(channel, text)

    def close(self) -> None:
        """Use it no more: who waits for an answer gets UnreachableError."""
        self.closed.set()
        self._connection.invalidate()


@asynccontextmanager
async def opened(nursery: trio.Nursery, address: Address, tag: str) -> AsyncIterator[Link]:
    """A link to the server that takes what is written under keys tagged `tag`; it runs in `nursery`.

    Raises UnreachableError, StorageError.
    """
    endpoint = await _find(nursery, address, tag)
    async with _connected(nursery, endpoint, address, address.login, address.database) as link:
        yield link


@asynccontextmanager
async def _connected(
    nursery: trio.Nursery, endpoint: Endpoint, address: Address, login: Login, database: int = 0
) -> AsyncIterator[Link]:
    connection = _connection(endpoint, address, login, database)
    link = Link(connection, endpoint)

    async def run(task_status: trio.TaskStatus[None]) -> None:
        try:
            await connection.run(task_status=task_status)
        finally:
            link.closed.set()

    with translated(endpoint):
        await nursery.start(run)
    try:
        yield link
    finally:
        link.close()


def _connection(endpoint: Endpoint, address: Address, login: Login, database: int) -> BaseConnection:
    options: BaseConnectionParams = {
        "connect_timeout": CONNECT_S,
        "stream_timeout": ANSWER_S,
        "username": login.username,
        "password": login.password,
        "db": database,
        "ssl_context": address.tls,
    }
    if address.kind == "unix":
        return UnixDomainSocketConnection(UnixDomainSocketLocation(endpoint.host), **options)
    return TCPConnection(TCPLocation(endpoint.host, endpoint.port), socket_keepalive=True, **options)


async def _find(nursery: trio.Nursery, address: Address, tag: str) -> Endpoint:
    """Which server to ask."""
    if address.kind in ("single", "unix"):
        return address.endpoints[0]
    look = _ask_sentinel if address.kind == "sentinel" else _ask_node
    faults: list[str] = []
    for endpoint in address.endpoints:
        try:
            return await look(nursery, endpoint, address, tag)
        except UnreachableError as error:
            faults.append(str(error))
    raise UnreachableError("; ".join(faults))


async def _ask_sentinel(nursery: trio.Nursery, endpoint: Endpoint, address: Address, tag: str) -> Endpoint:
    del tag  # Sentinels know of one server for all keys
    async with _connected(nursery, endpoint, address, address.sentinel_login) as link:
        found = await link.request("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)
    if not found:
        raise UnreachableError(f"the Sentinel at {endpoint} knows of no {address.service}")
    host, port = found
    return Endpoint(host.decode(), int(port))


async def _ask_node(nursery: trio.Nursery, endpoint: Endpoint, address: Address, tag: str) -> Endpoint:
    async with _connected(nursery, endpoint, address, address.login) as link:
        slot = await link.request("CLUSTER", "KEYSLOT", tag)
        for first, last, primary, *_ in await link.request("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                host, port = primary[0], primary[1]
                return Endpoint(host.decode() if host else endpoint.host, int(port))
    raise UnreachableError(f"the cluster of {endpoint} has nobody for our keys just now")
