"""Who begins with a binary frame is spoken to in MessagePack, on the same channels as everybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ormsgpack
import pytest
import trio_websocket

from adohub.config import Config, DeclaredChannel, Server
from tests.net.strangers import doorkeeper
from tests.running import FREE_PORT, Peer, open_peer, request, running_hub

CHUNKS = Config(
    server=Server(port=0), channels={"file.onChunk": DeclaredChannel(topics=("file.chunk",), key="file")}
)


class Packed:
    """A peer that packs what it says and unpacks what it hears; PING and PONG are text."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def tell(self, *messages: Any) -> None:
        await self.peer.tell(ormsgpack.packb(messages[0] if len(messages) == 1 else list(messages)))

    async def hear(self) -> Any:
        message = await self.peer.websocket.get_message()
        return message if isinstance(message, str) else ormsgpack.unpackb(message)

    async def ask(self, message: Any) -> Any:
        await self.tell(message)
        return await self.hear()


@asynccontextmanager
async def open_packed(url: str, resource: str = "/") -> AsyncIterator[Packed]:
    async with open_peer(url, resource) as peer:
        yield Packed(peer)


async def test_calls_are_answered_in_messagepack() -> None:
    async with running_hub() as hub, open_packed(hub.url) as peer:
        answer = await peer.ask(request(1, "query", "hub.health"))
        assert (answer["id"], answer["result"]["data"]["status"]) == (1, "ok")
        await peer.peer.tell("PING")
        assert await peer.hear() == "PONG"
        await peer.tell(request(2, "query", "nope"), request("x", "query", "hub.health"))
        assert (await peer.hear())["error"]["data"]["code"] == "NOT_FOUND"
        assert (await peer.hear())["id"] == "x"


async def test_octets_are_octets_to_their_like_and_text_to_others() -> None:
    chunk = {"file": "f", "bytes": b"\x00\xff"}
    async with running_hub(CHUNKS) as hub, open_packed(hub.url) as packed, open_peer(hub.url) as plain:
        assert (await packed.ask(request(1, "subscription", "file.onChunk", {"file": "f"})))["result"][
            "type"
        ] == "started"
        await plain.subscribe(1, "file.onChunk", {"file": "f"})
        await packed.tell(request(2, "mutation", "events.publish", {"topic": "file.chunk", "payload": chunk}))
        heard = {message["id"]: message["result"] for message in [await packed.hear() for _ in range(2)]}
        assert heard[1]["data"] == chunk
        assert heard[1]["id"] == heard[2]["data"]["id"]
        assert (await plain.hear())["result"]["data"] == {"file": "f", "bytes": "AP8="}
        history = await packed.ask(request(3, "query", "events.history", {"topics": ["**"]}))
        assert history["result"]["data"]["events"][0]["payload"] == chunk
        assert (await plain.query("events.history", {"topics": ["**"]}))["events"][0]["payload"][
            "bytes"
        ] == "AP8="


async def test_state_keeps_octets_too() -> None:
    async with running_hub() as hub, open_packed(hub.url) as peer:
        await peer.ask(request(1, "mutation", "state.set", {"key": "k", "value": {"raw": b"\x01"}}))
        assert (await peer.ask(request(2, "query", "state.get", {"key": "k"})))["result"]["data"][
            "value"
        ] == {"raw": b"\x01"}
        await peer.tell(request(3, "subscription", "state.onChange", {"prefix": ""}))
        [_, change, _] = [await peer.hear() for _ in range(3)]
        assert change["result"]["data"]["value"] == {"raw": b"\x01"}


@pytest.mark.parametrize("frame", [b"\xc1", b"{}", b"", b"\x81\xa2id\x01", b"\x01" * 100])
async def test_what_is_no_messagepack_is_a_parse_error_in_messagepack(frame: bytes) -> None:
    async with running_hub() as hub, open_packed(hub.url) as peer:
        await peer.peer.tell(frame)
        answer = await peer.hear()
        assert (answer["id"], answer["error"]["data"]["code"]) == (None, "PARSE_ERROR")
        assert (await peer.ask(request(1, "query", "hub.health")))["id"] == 1
        await peer.peer.tell('{"id":2,"method":"query","params":{"path":"hub.health"}}')
        answer = await peer.hear()
        assert (answer["id"], answer["error"]["data"]["code"]) == (None, "PARSE_ERROR")


async def test_connection_params_may_be_packed() -> None:
    async with running_hub(FREE_PORT, doorkeeper()) as hub:
        async with open_packed(hub.url, "/?connectionParams=1") as peer:
            await peer.tell({"method": "connectionParams", "data": {"token": "good"}})
            assert (await peer.ask(request(1, "query", "hub.health")))["id"] == 1
        async with open_packed(hub.url, "/?connectionParams=1") as peer:
            answer = await peer.ask({"method": "connectionParams", "data": {"token": "bad"}})
            assert (answer["id"], answer["error"]["data"]["code"]) == (None, "UNAUTHORIZED")


async def test_a_message_that_is_too_long_closes_the_connection() -> None:
    async with running_hub(Config(server=Server(port=0, max_message_bytes=1000))) as hub:
        async with open_packed(hub.url) as peer:
            await peer.tell(request(1, "query", "hub.health", {"raw": bytes(1000)}))
            with pytest.raises(trio_websocket.ConnectionClosed):
                await peer.hear()
            assert peer.peer.websocket.closed is not None
            assert peer.peer.websocket.closed.code == 1009
