"""The reading end of one subscription: bounded, in order, and ended by the hub or by its reader."""

from __future__ import annotations

import trio

from adohub.client.ledger import Delivery
from adohub.errors import PeerError

BUFFER_MESSAGES = 256
"""How many messages wait for the reader of one subscription before the socket is no longer read."""


class Deliveries:
    """The events of one subscription, in order, each once. Ends when the hub says `stopped`.

    Raises PeerError where the hub ended it with an error, after all that came before.
    """

    def __init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[Delivery](BUFFER_MESSAGES)
        self._error: PeerError | None = None

    def __aiter__(self) -> Deliveries:
        return self

    async def __anext__(self) -> Delivery:
        try:
            return await self._receiver.receive()
        except trio.EndOfChannel:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None

    async def put(self, delivery: Delivery) -> None:
        """For the client: waits while the buffer is full. Raises trio's errors once the reader has left."""
        await self._sender.send(delivery)

    def end(self, error: PeerError | None = None) -> None:
        """For the client: nothing more will come, because of `error` if there is one."""
        self._error = error
        self._sender.close()

    def drop(self) -> None:
        """For the client: nobody may read any more."""
        self._sender.close()
        self._receiver.close()
