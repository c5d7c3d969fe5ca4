"""Who meets on the channel of Redis: hubs without clients, and strangers who know nothing of hubs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import trio
from attrs import define, field

from adohub import Draft, Event, Publish, Selection, Source, Storage, StorageSettings
from adohub_redis.storage import open_redis
from adohub_redis.testing.cluster import Cluster
from adohub_redis.testing.replicated import Replicated
from adohub_redis.testing.resp import Replies, request
from adohub_redis.testing.server import Server

DEADLINE_S = 20.0
"""How long all may take that is done with one hub, in seconds."""

EVERYTHING = Selection(["**"])


@define(eq=False)
class Hub:
    """The engine, with its sources running. What they publish goes to storage if `judge` lets it."""

    storage: Storage
    instance: str
    judge: Callable[[str], Awaitable[None]]
    running: trio.CancelScope = field(factory=trio.CancelScope)
    ended: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        with self.running:
            async with trio.open_nursery() as nursery:
                for source in self.storage.sources():
                    nursery.start_soon(source.run, self.publisher(source))
        self.ended.set()

    async def end(self) -> None:
        """End its sources, as a hub that drains."""
        self.running.cancel()
        await self.ended.wait()

    def publisher(self, source: Source) -> Publish:
        def publish(
            topic: str, payload: object, /, *, idempotency_key: str | None = None
        ) -> Coroutine[Any, Any, str]:
            body = json.dumps(payload, separators=(",", ":")).encode()
            draft = Draft(topic, None, body, "", f"source:{source.name}", idempotency_key)
            return self._publish(draft)

        return publish

    async def _publish(self, draft: Draft) -> str:
        await self.judge(draft.topic)
        receipts = await self.storage.append([draft])
        return str(receipts[0].position)

    async def publish(self, topic: str, payload: Mapping[str, Any] | None = None) -> None:
        """As a client of the hub."""
        await self.storage.append([Draft(topic, None, json.dumps(payload or {}).encode(), "")])

    async def events(self) -> list[Event]:
        """All that there is."""
        page = await self.storage.read(EVERYTHING, self.storage.tail(), 100_000)
        assert not page.more
        return list(page.events)

    async def numbers(self, enough: int) -> list[int]:
        """What the events say, once there are so many."""
        while len(found := await self.events()) < enough:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.01)
        return [event.payload["n"] for event in found]


async def lenient(topic: str) -> None:
    """A hub that takes anything."""
    await trio.lowlevel.checkpoint()


_instances = count()


@asynccontextmanager
async def a_hub(
    server: Server | Cluster | Replicated,
    *,
    port: int = 0,
    mirror: bool = False,
    judge: Callable[[str], Awaitable[None]] = lenient,
    state_keys: Mapping[str, int] | None = None,
    window_s: float = 300.0,
) -> AsyncIterator[Hub]:
    """A hub, which reaches a server by `port` if told so, with a deadline for all that happens inside it."""
    settings = StorageSettings(
        max_events=100_000,
        max_age_s=3600,
        idempotency_window_s=window_s,
        table={
            "url": server.url_at(port) if port and isinstance(server, Server) else server.url,
            "prefix": "ado",
            "publish_timeout_ms": 2000,
            "wait_replicas": 0,
        },
        state_keys=state_keys or {},
        instance=f"hub{next(_instances)}",
    )
    with trio.fail_after(DEADLINE_S):
        async with open_redis(settings, mirror=mirror) as opened, trio.open_nursery() as nursery:
            hub = Hub(opened, settings.instance, judge)
            nursery.start_soon(hub.run)
            yield hub
            await hub.end()


def said(n: int, topic: str = "garden.tick") -> bytes:
    return b'{"type":"%b","n":%d}' % (topic.encode(), n)


@define(eq=False)
class Stranger:
    """Somebody who knows Redis, and nothing of hubs."""

    stream: trio.SocketStream
    replies: Replies = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.replies = Replies(self.stream)

    async def say(self, *texts: bytes) -> None:
        """Publish them, in order."""
        for text in texts:
            await self.stream.send_all(_publication(text))
        for _ in texts:
            await self.replies.answer()

    async def listen(self) -> None:
        await self.stream.send_all(request("SUBSCRIBE", "ado:events"))
        await self.replies.answer()

    async def hears(self, number: int) -> list[str]:
        """The next messages, as they are."""
        heard = []
        for _ in range(number):
            match await self.replies.answer():
                case ["message", "ado:events", str(text)]:
                    heard.append(text)
                case other:
                    raise AssertionError(f"it hears {other}")
        return heard


def _publication(text: bytes) -> bytes:
    """PUBLISH, of octets."""
    return b"*3\r\n$7\r\nPUBLISH\r\n$10\r\nado:events\r\n$%d\r\n%b\r\n" % (len(text), text)


@asynccontextmanager
async def a_stranger(server: Server) -> AsyncIterator[Stranger]:
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        yield Stranger(stream)


async def whose_turn(server: Server, what: str = "intake", *, but: str | None = None) -> str:
    """The hub whose turn it is, once it is somebody's, though not that one's."""
    while (holder := await server.command("GET", f"{{ado}}:turn:{what}")) in (None, but):  # noqa: ASYNC110
        await trio.sleep(0.01)
    return str(holder)
