"""What is published twice with one idempotency key is one event with one answer: over a restart, and when
@trpc/client sends a mutation again by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from adohub.client.nursery import flat_nursery
from tests.cli.processes import history, progress, serving, sqlite_at
from tests.clients.publisher import TOPIC
from tests.clients.puppet import PuppetError, puppet
from tests.running import Peer, open_peer, request, running_hub, until

RECONNECT = '{"id":null,"method":"reconnect"}'
UNDECIDED = 5


def once(key: str, message: str = "") -> dict[str, Any]:
    """A publish that is to act once."""
    return {"topic": TOPIC, "payload": progress("t", 1, message), "idempotencyKey": key}


async def published(url: str, event: dict[str, Any]) -> str:
    async with open_peer(url) as peer:
        return str((await peer.mutate("events.publish", event))["id"])


async def test_a_key_is_known_to_a_hub_that_was_killed_and_started_again(tmp_path: Path) -> None:
    async with serving(tmp_path, sqlite_at(tmp_path / "hub.db")) as hub:
        first = await published(hub.url, once("k", "first"))
        await hub.kill()
    async with serving(tmp_path, sqlite_at(tmp_path / "hub.db")) as hub:
        assert await published(hub.url, once("k", "second")) == first
        other = await published(hub.url, once("other", "third"))
        assert [event["id"] for event in await history(hub.url, TOPIC)] == [first, other]


async def test_a_publish_without_an_answer_can_be_repeated_after_a_crash(tmp_path: Path) -> None:
    """Whether the hub had kept it before it was killed differs from run to run: it is there once."""
    for number in range(UNDECIDED):
        async with serving(tmp_path, sqlite_at(tmp_path / "hub.db")) as hub, open_peer(hub.url) as peer:
            await peer.tell(request(1, "mutation", "events.publish", once(f"k{number}")))
            await peer.is_served()
            await peer.tell(request(2, "mutation", "events.publish", once(f"k{number}, late")))
            await hub.kill()
    async with serving(tmp_path, sqlite_at(tmp_path / "hub.db")) as hub:
        for number in range(UNDECIDED):
            await published(hub.url, once(f"k{number}"))
            await published(hub.url, once(f"k{number}, late"))
        assert len(await history(hub.url, TOPIC)) == 2 * UNDECIDED


# ── a mutation that the client sends twice ───────────────────────────────────────────────────────────────


@define(eq=False)
class Relay:
    """Stands before a hub. It keeps the first answer to a mutation back, and asks the client to reconnect.

    From then on it is deaf on that connection as well, so that the client's closing it has no effect, until
    `let_go` is set.
    """

    hub_url: str
    port: int = 0
    mutations: list[str] = field(factory=list)
    withheld: str | None = None
    let_go: trio.Event = field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        heard = Hearing(stream, self, self.withheld is None)
        async with open_peer(self.hub_url) as peer, flat_nursery() as nursery:
            client = await (await wrap_server_stream(nursery, heard)).accept()
            nursery.start_soon(self._pass_on, client, peer, nursery.cancel_scope)
            nursery.start_soon(self._pass_back, peer, client, nursery.cancel_scope)

    async def _pass_on(self, client: WebSocketConnection, peer: Peer, scope: trio.CancelScope) -> None:
        try:
            while True:
                message = str(await client.get_message())
                if '"mutation"' in message:
                    self.mutations.append(message)
                await peer.tell(message)
        except ConnectionClosed:
            scope.cancel()

    async def _pass_back(self, peer: Peer, client: WebSocketConnection, scope: trio.CancelScope) -> None:
        try:
            while True:
                message = str(await peer.websocket.get_message())
                if self.mutations and self.withheld is None:
                    self.withheld = message
                    await client.send_message(RECONNECT)
                    await self.let_go.wait()
                await client.send_message(message)
        except ConnectionClosed:
            scope.cancel()


@define(eq=False)
class Hearing(trio.abc.Stream):
    """A connection of the relay's, as far as that hears it."""

    _stream: trio.SocketStream
    _relay: Relay
    _is_first: bool

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        chunk = await self._stream.receive_some(max_bytes)
        if self._is_first and self._relay.withheld is not None:
            await self._relay.let_go.wait()
        return chunk

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def relay(hub_url: str) -> AsyncIterator[Relay]:
    standing = Relay(hub_url)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        standing.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, standing.serve, [listener])
        yield standing
        nursery.cancel_scope.cancel()


async def let_go_when(condition: Callable[[], object], between: Relay) -> None:
    await until(condition)
    between.let_go.set()


async def test_a_mutation_that_client_11_18_sends_again_by_itself_acts_once() -> None:
    async with running_hub() as hub, relay(hub.url) as between:
        async with puppet("v11.18", f"ws://127.0.0.1:{between.port}") as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(let_go_when, lambda: len(between.mutations) == 2, between)
                (outcome,) = await client.together(("mutation", "events.publish", once("k")))
            (kept,) = await history(hub.url, TOPIC)
            assert between.withheld is not None
            assert kept["id"] in between.withheld
            if not isinstance(
                outcome, PuppetError
            ):  # it gives up if it hears of the old connection's end first
                assert outcome["id"] == kept["id"]
            assert await published(hub.url, once("k")) == kept["id"]
            assert len(await history(hub.url, TOPIC)) == 1


async def test_newer_clients_wait_for_the_answer_where_they_asked() -> None:
    async with running_hub() as hub, relay(hub.url) as between:
        async with puppet("v11", f"ws://127.0.0.1:{between.port}") as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(let_go_when, lambda: client.ws.count(("open", None)) == 2, between)
                answer = await client.mutate("events.publish", once("k"))
            assert len(between.mutations) == 1
            assert [event["id"] for event in await history(hub.url, TOPIC)] == [answer["id"]]
