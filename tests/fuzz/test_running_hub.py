"""A running hub gives one of its answers to whatever comes over its sockets, and goes on serving others."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

import structlog.testing
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub.config import Auth, Config, Server, Token
from adohub.wire.codes import CODES
from adohub.wire.frame import is_close_code
from adohub.wire.packed import unpack
from tests.fuzz import asking, making, seeds
from tests.net import raw
from tests.running import Peer, RunningHub, open_peer, progress, running_hub

MESSAGE_BYTES = 8192
PATIENCE_S = 5.0
"""After how many seconds a hub that says nothing has hung."""

CONFIG = Config(server=Server(port=0, max_message_bytes=MESSAGE_BYTES, handshake_timeout_ms=1000))

EXAMPLES = 250

Law = Callable[[int, bytes], None]
"""What must hold when the hub at a port is sent these bytes."""


async def besieged(config: Config, data: st.SearchStrategy[bytes], law: Law, *, token: str = "") -> None:
    """Fails if `law` does not hold for some of `data`, if a fault is logged, or if others are disturbed."""
    with structlog.testing.capture_logs() as logs:
        async with running_hub(config) as hub, bystander(hub, token):
            examples = settings(
                max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
            )

            @examples
            @given(data)
            def siege(data: bytes) -> None:
                law(hub.port, data)

            await trio.to_thread.run_sync(siege)
    assert [line for line in logs if line["log_level"] in ("error", "critical") or "exc_info" in line] == []


@asynccontextmanager
async def bystander(hub: RunningHub, token: str) -> AsyncIterator[Peer]:
    """A peer whose subscription and whose calls go on undisturbed."""
    headers = {"Authorization": f"Bearer {token}"} if token else None
    async with open_peer(hub.url, headers=headers) as peer:
        await peer.subscribe("s", "stream.onTaskProgress", {"taskId": "bystander"})
        yield peer
        event_id = await peer.publish("task.progress", progress("bystander", 1))
        assert (await peer.answer_to("s"))["result"]["id"] == event_id
        await peer.is_served()


# ── WebSockets ───────────────────────────────────────────────────────────────────────────────────────────


async def test_spoiled_frames_are_answered_or_closed() -> None:
    await besieged(CONFIG, making.mutations(seeds.frames()), frames_are_answered)


async def test_noise_is_answered_or_closed() -> None:
    await besieged(CONFIG, st.binary(max_size=300), frames_are_answered)


async def test_messages_that_are_nearly_in_order_are_answered() -> None:
    texts = making.json_messages.map(lambda text: raw.frame(raw.TEXT, text.encode("utf-8", "surrogatepass")))
    packed = making.packed_messages.map(partial(raw.frame, raw.BINARY))
    await besieged(CONFIG, texts | packed, frames_are_answered)


def frames_are_answered(port: int, data: bytes) -> None:
    received = said_to(port, data, after=raw.upgrade("/?transformer=superjson" if len(data) % 2 else "/"))
    head, _, frames = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    for first, payload in served(frames):
        if first in (0x81, 0x82):
            check_message(payload, is_text=first == 0x81)
        elif first == 0x88:
            assert not payload or is_close_code(int.from_bytes(payload[:2], "big"))


def served(frames: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of a server: whole, unmasked, and none behind a close."""
    at, first = 0, 0
    while at < len(frames):
        assert first != 0x88
        first, length, start = frames[at], frames[at + 1], at + 2
        assert first in (0x81, 0x82, 0x88, 0x89, 0x8A)
        if length >= 126:
            assert first < 0x88
            start += 2 if length == 126 else 8
            length = int.from_bytes(frames[at + 2 : start], "big")
        at = start + length
        assert at <= len(frames)
        yield first, frames[start:at]


def check_message(payload: bytes, *, is_text: bool) -> None:
    if payload in (b"PING", b"PONG"):
        return
    message = json.loads(payload) if is_text else unpack(payload)
    assert "id" in message
    if "error" in message:
        error = message["error"].get("json", message["error"])
        assert error["data"]["code"] in CODES
        assert error["data"]["code"] != "INTERNAL_SERVER_ERROR"
    else:
        assert message["result"]


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_spoiled_requests_are_answered() -> None:
    await besieged(CONFIG, making.mutations(seeds.requests()), a_request_is_answered)


async def test_requests_that_are_nearly_in_order_are_answered() -> None:
    await besieged(CONFIG, asking.http_requests(), a_request_is_answered)


async def test_event_streams_are_refused_or_begun_whatever_is_asked_for() -> None:
    await besieged(CONFIG, asking.event_stream_requests(), a_request_is_answered)


STATUSES = {101, 200, 204, 207, 400, 403, 404, 405, 408, 412, 413, 415, 417, 426, 429, 431, 501, 503}


def a_request_is_answered(port: int, data: bytes) -> None:
    received = said_to(port, data)
    if not received:
        return
    head, end, body = received.partition(b"\r\n\r\n")
    assert end
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    assert status
    assert int(status[1]) in STATUSES
    assert all(b": " in line for line in head.split(b"\r\n")[1:])
    assert b"Traceback" not in body
    assert b"INTERNAL_SERVER_ERROR" not in body


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────

TOKEN = "good-token"
GUARDED = Config(
    server=Server(port=0, handshake_timeout_ms=1000),
    auth=Auth(
        reject_delay_ms=1,
        max_failures_per_minute=1_000_000,
        tokens=(Token("good", hashlib.sha256(TOKEN.encode()).hexdigest(), ("*",)),),
    ),
)


async def test_no_header_lets_anybody_in_but_the_right_one() -> None:
    await besieged(GUARDED, asking.credentials, nobody_gets_in, token=TOKEN)


def nobody_gets_in(port: int, data: bytes) -> None:
    line = b"Authorization: " + data + b"\r\n\r\n"
    for request in (raw.upgrade()[:-2], raw.head("/trpc/hub.health")[:-2]):
        received = said_to(port, request + line)
        assert re.match(rb"HTTP/1\.1 (400|401|431) ", received), received
    params = json.dumps({"method": "connectionParams", "data": {"token": data.decode("latin-1")}}).encode()
    received = said_to(port, raw.frame(raw.TEXT, params), after=raw.upgrade("/?connectionParams=1"))
    assert b"UNAUTHORIZED" in received


# ── a peer that blocks ───────────────────────────────────────────────────────────────────────────────────


def said_to(port: int, data: bytes, *, after: bytes = b"") -> bytes:
    """What the hub says to `data`, to its end; `after` is said first, and its answer waited for."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as peer:
        try:
            if after:
                peer.sendall(after)
                while not received.endswith(b"\r\n\r\n"):
                    received += peer.recv(4096)
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            while chunk := peer.recv(65536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass  # the hub has heard enough
    return bytes(received)
