"""A client outlives its connections: it keeps one open, and what is asked of it survives a change of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal
from uuid import uuid4

import trio
from attrs import define, field, frozen

from adohub.client.address import Address
from adohub.client.backoff import jittered
from adohub.client.deliveries import Deliveries
from adohub.client.errors import ConnectionLost, Unreachable
from adohub.client.ledger import Answered, Delivered, Delivery, Ledger, Rebuffed, Reception, Refused, Stopped
from adohub.client.link import TOO_BIG, Link, LinkLost, carry
from adohub.client.nursery import flat_nursery
from adohub.errors import AdohubError, PeerError

State = Literal["connecting", "open", "closed"]
"""What `on_state` is told: a connection is sought, is there, or will never be sought again."""

QUIET_S = 15.0
"""After how many seconds without a byte from the hub the client sends PING."""

PONG_WAIT_S = 5.0
"""How many seconds after that PING the connection is given up, if no byte came."""

Carry = Callable[[Callable[[Link], Awaitable[None]]], Awaitable[None]]
"""Opens one connection, runs a conversation on it, and closes it: `link.carry` with its address filled in."""


@frozen
class Receipt:
    """Storage holds the event: its `id`, and the `timestamp` it bears."""

    id: str
    timestamp: str


@define(eq=False)
class _Reply:
    """The place where one call waits."""

    _arrived: trio.Event = field(factory=trio.Event, init=False)
    _value: Any = field(default=None, init=False)
    _error: AdohubError | None = field(default=None, init=False)

    def answer(self, value: Any) -> None:
        self._value = value
        self._arrived.set()

    def fail(self, error: AdohubError) -> None:
        self._error = error
        self._arrived.set()

    async def wait(self) -> Any:
        await self._arrived.wait()
        if self._error is not None:
            raise self._error
        return self._value


@asynccontextmanager
async def connect(
    url: str,
    *,
    token: str | None = None,
    on_state: Callable[[State], None] | None = None,
    backoff: Callable[[], Iterator[float]] = jittered,
) -> AsyncIterator[Client]:
    """A client of the hub at `url`, connected when the block begins and closed when it ends.

    `url`: see `Address.parse`. `token` is sent at each upgrade. `on_state` is called, in the event loop, at
    each change. `backoff` gives the waits between attempts in seconds, afresh after each connection on which
    the hub said anything but an error for nobody.

    Raises BadAddress, Unreachable if the first connection fails, PeerError if the hub refuses the credential.
    A connection lost later is sought again for ever.
    """
    seek = partial(carry, Address.parse(url), _credential(token))
    async with open_client(seek, on_state=on_state, backoff=backoff) as client:
        yield client


@asynccontextmanager
async def open_client(
    seek: Carry, *, on_state: Callable[[State], None] | None, backoff: Callable[[], Iterator[float]]
) -> AsyncIterator[Client]:
    """`connect`, over whatever connections `seek` opens."""
    client = Client(on_state)
    async with flat_nursery() as nursery:
        try:
            await nursery.start(client.stay_connected, seek, backoff)
            yield client
        finally:
            client.close()
            nursery.cancel_scope.cancel()


class Client:
    """Calls, publishes and subscriptions over one connection at a time. Made by `connect`.

    A subscription that is not read fills its buffer (`deliveries.BUFFER_MESSAGES`), and then holds up
    everything else of this client: there is one socket, and it is not read on. Give a slow reader a client of
    its own.
    """

    def __init__(self, on_state: Callable[[State], None] | None = None) -> None:
        self._on_state = on_state
        self._ledger = Ledger()
        self._replies: dict[int, _Reply] = {}
        self._subscriptions: dict[int, Deliveries] = {}
        self._something_to_say = trio.Event()
        self._welcome = False
        self._closed = False

    async def query(self, path: str, input: object = None) -> Any:
        """Asks. Waits for a connection if there is none. Raises PeerError, ConnectionLost."""
        return await self._call("query", path, input)

    async def mutate(self, path: str, input: object = None) -> Any:
        """Has something done, at most once. Raises PeerError; ConnectionLost: done or not, unknown."""
        return await self._call("mutation", path, input)

    async def publish(
        self, topic: str, payload: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Receipt:
        """Publishes one event, once: sent again under its key until the hub answers. Raises PeerError."""
        event = _with_key({"topic": topic, "payload": payload, "idempotencyKey": idempotency_key})
        answer = await self._call("mutation", "events.publish", event, repeatable=True)
        return Receipt(answer["id"], answer["timestamp"])

    async def publish_many(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        """Publishes `{topic, payload, idempotencyKey?}` events in order, all or none, and gives their ids.

        Sent again under their keys until the hub answers. Raises PeerError.
        """
        keyed = {"events": [_with_key(event) for event in events]}
        answer = await self._call("mutation", "events.publishMany", keyed, repeatable=True)
        return list(answer["ids"])

    def subscribe(
        self, path: str, input: object = None, *, last_event_id: str | None = None
    ) -> AbstractAsyncContextManager[Deliveries]:
        """A subscription that is open for the length of the block, and resumes across connections.

        Does not wait for the hub's consent: a refusal is raised as PeerError by the iteration, and ends no
        more than this subscription. Without a connection it begins with the next one.
        """
        return self._subscribe(path, input, last_event_id)

    @asynccontextmanager
    async def _subscribe(
        self, path: str, input: object, last_event_id: str | None
    ) -> AsyncIterator[Deliveries]:
        self._check_open()
        request = self._ledger.subscribe(path, input, last_event_id)
        deliveries = self._subscriptions[request] = Deliveries()
        self._something_to_say.set()
        try:
            yield deliveries
        finally:
            del self._subscriptions[request]
            deliveries.drop()
            self._ledger.forget(request)
            self._something_to_say.set()

    async def _call(
        self, method: Literal["query", "mutation"], path: str, input: object, *, repeatable: bool = False
    ) -> Any:
        self._check_open()
        request = self._ledger.ask(method, path, input, repeatable=repeatable)
        reply = self._replies[request] = _Reply()
        self._something_to_say.set()
        try:
            return await reply.wait()
        finally:
            del self._replies[request]
            self._ledger.forget(request)
            self._something_to_say.set()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this client is closed")

    async def stay_connected(
        self, seek: Carry, backoff: Callable[[], Iterator[float]], *, task_status: trio.TaskStatus[None]
    ) -> None:
        """For `connect`. Never returns; raises only if the first connection does not come about."""
        waits = backoff()
        connected = False

        async def use(link: Link) -> None:
            nonlocal connected
            if not connected:
                connected = True
                task_status.started()
            await self._converse(link)

        while True:
            self._announce("connecting")
            try:
                await seek(use)
            except (Unreachable, PeerError):
                if not connected:
                    raise
            if self._welcome:
                waits = backoff()
                self._welcome = False
            await trio.sleep(next(waits))

    async def _converse(self, link: Link) -> None:
        """Everything that happens on one connection; returns when it is over."""
        self._announce("open")
        try:
            async with flat_nursery() as nursery:

                async def end_with(part: Callable[[Link], Awaitable[None]]) -> None:
                    await part(link)
                    nursery.cancel_scope.cancel()

                for part in (self._write, self._read, self._watch):
                    nursery.start_soon(end_with, part)
        finally:
            for request in self._ledger.cut():
                self._replies[request].fail(ConnectionLost("the connection broke before the answer came"))

    async def _write(self, link: Link) -> None:
        """The only sender. Ends when the hub has asked for another connection and this one owes nothing."""
        try:
            while not self._ledger.parted:
                self._something_to_say = trio.Event()
                while (frame := self._ledger.next_frame()) is not None:
                    await link.send(frame)
                await self._something_to_say.wait()
        except LinkLost:
            await trio.sleep_forever()  # what has come in is still to be read: the reader ends the connection

    async def _read(self, link: Link) -> None:
        try:
            while True:
                reception = self._ledger.receive(await link.receive())
                self._something_to_say.set()
                self._welcome = self._welcome or not isinstance(reception, Rebuffed)
                await self._hand_over(reception)
        except LinkLost as lost:
            if lost.code == TOO_BIG:
                await self._hand_over(self._ledger.refuse_largest())

    async def _watch(self, link: Link) -> None:
        """Ends when the hub has not even answered a PING."""
        while True:
            since = link.silent_since
            await trio.sleep_until((since or trio.current_time()) + QUIET_S)
            if since is None or link.silent_since != since:
                continue
            self._ledger.ping()
            self._something_to_say.set()
            await trio.sleep(PONG_WAIT_S)
            if link.silent_since == since:
                return

    async def _hand_over(self, reception: Reception | None) -> None:
        match reception:
            case Answered(request, value):
                self._replies[request].answer(value)
            case Refused(request, error) if request in self._replies:
                self._replies[request].fail(error)
            case Refused(request, error):
                self._subscriptions[request].end(error)
            case Stopped(request):
                self._subscriptions[request].end()
            case Delivered(request, delivery):
                await self._deliver(request, delivery)

    async def _deliver(self, request: int, delivery: Delivery) -> None:
        """The position moves only with the event in its reader's buffer: cancelled before, it comes again."""
        try:
            await self._subscriptions[request].put(delivery)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the reader left while we waited for it
        self._ledger.advance(request, delivery.id)

    def _announce(self, state: State) -> None:
        if self._on_state is not None:
            self._on_state(state)

    def close(self) -> None:
        """For `connect`. Whoever still waits for something is told that nothing will come."""
        self._closed = True
        self._announce("closed")
        for reply in self._replies.values():
            reply.fail(ConnectionLost("the client was closed before the hub's answer came"))
        for deliveries in self._subscriptions.values():
            deliveries.drop()


def _with_key(event: Mapping[str, Any]) -> dict[str, Any]:
    return {**event, "idempotencyKey": event.get("idempotencyKey") or uuid4().hex}


def _credential(token: str | None) -> str | None:
    text = (token or "").strip()
    if not (text.isascii() and text.isprintable()):
        raise PeerError("UNAUTHORIZED", "the token holds characters that no token has")
    return text or None
