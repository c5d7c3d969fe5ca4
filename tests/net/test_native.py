"""What only the native host can promise: it reads, answers and closes in one order."""

from __future__ import annotations

from tests import running
from tests.net.raw import CLOSE, TEXT, frame, read_to_end, text, upgraded


async def test_what_was_asked_before_a_close_is_answered_before_it() -> None:
    health = text({"id": 1, "method": "query", "params": {"path": "hub.health"}})
    close = (1000).to_bytes(2, "big")
    async with running.running_hub() as hub, await upgraded(hub.port) as stream:
        await stream.send_all(health + frame(TEXT, b"PING") + frame(CLOSE, close) + frame(TEXT, b"PING"))
        received = await read_to_end(stream)
    assert b'"status":"ok"' in received
    assert received.endswith(frame(TEXT, b"PONG", masked=False) + frame(CLOSE, close, masked=False))
    assert received.count(b"PONG") == 1
