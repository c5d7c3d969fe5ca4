"""What somebody notes on a task reaches whoever follows that task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from adohub.client import Client, connect
from adohub.config import Config, Server
from adohub.daemon import Daemon
from adohub.errors import PeerError
from adohub.plugin.loader import load


@asynccontextmanager
async def hub(**settings: object) -> AsyncIterator[Client]:
    """A client of a hub of its own, with `[plugin.notes]` as given."""
    config = Config(server=Server(port=0), plugin={"notes": settings})
    daemon = Daemon(config, load(config))
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            [url] = await nursery.start(lambda task_status: daemon.run(task_status=task_status))
            async with connect(url) as client:
                yield client
            daemon.stop()


async def test_a_note_reaches_those_who_follow_its_task() -> None:
    async with hub() as client:
        answer = await client.mutate("notes.add", {"taskId": "t1", "text": "looks good"})
        await client.mutate("notes.add", {"taskId": "t2", "text": "not this one"})
        async with client.subscribe("notes.onNote", {"taskId": "t1"}) as notes:
            delivery = await anext(notes)
        assert delivery.id == answer["id"]
        assert delivery.data["text"] == "looks good"
        assert delivery.data["author"] == "anonymous"


async def test_a_note_that_is_too_long_is_refused() -> None:
    async with hub(max_chars=3) as client:
        with pytest.raises(PeerError, match="text: expected at most 3 characters"):
            await client.mutate("notes.add", {"taskId": "t1", "text": "long"})
