"""Who is silent is asked for a sign of life, in words its client understands; who stays silent is dropped."""

from __future__ import annotations

from typing import Any, cast

import pytest
import structlog.testing
import trio
import trio.testing
from attrs import define, field

from adohub.config import Config, Server
from adohub.config import Keepalive as KeepaliveConfig
from adohub.net.keepalive import Keepalive
from adohub.net.outbox import Outbox
from adohub.wire.frame import PING_FRAME, text_frame
from tests.net import raw
from tests.running import open_peer, request, running_hub

PING_S, PONG_WAIT_S = 30.0, 5.0
TICK_S = PONG_WAIT_S / 4
TEXT_PING = text_frame(b"PING")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Virtual time: minutes of silence pass at once."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@define(eq=False)
class Line:
    """What keep-alive sees of one connection: when it was heard, what it is sent, whether it is given up."""

    last_received: float = field(factory=trio.current_time)
    sent: list[tuple[float, bytes]] = field(factory=list)
    given_up_at: float | None = None
    speaks_v11: bool = False

    def send(self, frame: bytes) -> None:
        self.sent.append((trio.current_time(), frame))

    def abandon(self) -> None:
        self.given_up_at = trio.current_time()

    def heard(self) -> None:
        self.last_received = trio.current_time()

    @property
    def frames(self) -> list[bytes]:
        return [frame for _, frame in self.sent]

    @property
    def outbox(self) -> Outbox:
        return cast("Outbox", self)


async def watch(nursery: trio.Nursery, *lines: Line, **config: Any) -> Keepalive:
    keepalive = Keepalive(KeepaliveConfig(**config))
    for line in lines:
        keepalive.watch(line)
    nursery.start_soon(keepalive.run)
    await trio.testing.wait_all_tasks_blocked()
    return keepalive


async def test_a_silent_peer_is_pinged_once_and_then_given_up() -> None:
    async with trio.open_nursery() as nursery:
        line = Line()
        began = trio.current_time()
        await watch(nursery, line)
        await trio.sleep(PING_S - TICK_S)
        assert line.sent == []
        await trio.sleep(2 * TICK_S)
        assert (len(line.sent), line.given_up_at) == (1, None)
        await trio.sleep(PONG_WAIT_S + TICK_S)
        lasted = (line.given_up_at or 0) - began
        assert PING_S + PONG_WAIT_S <= lasted <= PING_S + PONG_WAIT_S + 2 * TICK_S
        assert len(line.sent) == 1
        nursery.cancel_scope.cancel()


async def test_any_byte_counts_as_life_and_a_lively_peer_is_never_pinged() -> None:
    async with trio.open_nursery() as nursery:
        line = Line()
        await watch(nursery, line)
        for _ in range(20):
            await trio.sleep(PING_S / 2)
            line.heard()
        assert line.sent == []
        assert line.given_up_at is None
        nursery.cancel_scope.cancel()


async def test_a_peer_that_answers_is_pinged_again_after_the_next_silence() -> None:
    async with trio.open_nursery() as nursery:
        line = Line()
        await watch(nursery, line)
        for round_ in range(1, 5):
            await trio.sleep(PING_S + 2 * TICK_S)
            assert len(line.sent) == round_
            line.heard()
            await trio.sleep(TICK_S)
        assert line.given_up_at is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("mode", "speaks_v11", "ping"),
    [
        ("auto", False, PING_FRAME),
        ("auto", True, TEXT_PING),
        ("frame", False, PING_FRAME),
        ("frame", True, PING_FRAME),
        ("text", False, TEXT_PING),
        ("text", True, TEXT_PING),
    ],
)
async def test_the_mode_says_how_a_peer_is_asked(mode: str, speaks_v11: bool, ping: bytes) -> None:
    async with trio.open_nursery() as nursery:
        line = Line(speaks_v11=speaks_v11)
        await watch(nursery, line, mode=mode)
        await trio.sleep(PING_S + 2 * TICK_S)
        assert line.frames == [ping]
        nursery.cancel_scope.cancel()


async def test_in_mode_auto_a_peer_gets_text_from_when_it_has_shown_that_it_knows_it() -> None:
    async with trio.open_nursery() as nursery:
        line = Line()
        await watch(nursery, line)
        await trio.sleep(PING_S + 2 * TICK_S)
        line.heard()
        line.speaks_v11 = True
        await trio.sleep(PING_S + 2 * TICK_S)
        assert line.frames == [PING_FRAME, TEXT_PING]
        nursery.cancel_scope.cancel()


async def test_one_silent_peer_is_nothing_to_the_others() -> None:
    async with trio.open_nursery() as nursery:
        silent, lively = Line(), Line()
        await watch(nursery, silent, lively)
        for _ in range(10):
            await trio.sleep(10)
            lively.heard()
        assert silent.given_up_at is not None
        assert lively.given_up_at is None
        nursery.cancel_scope.cancel()


async def test_a_forgotten_connection_is_left_alone() -> None:
    async with trio.open_nursery() as nursery:
        line = Line()
        keepalive = await watch(nursery)
        watched = line
        keepalive.watch(watched)
        keepalive.forget(watched)
        keepalive.forget(watched)
        await trio.sleep(PING_S * 10)
        assert line.sent == []
        nursery.cancel_scope.cancel()


async def test_switched_off_it_ends_at_once() -> None:
    await Keepalive(KeepaliveConfig(enabled=False)).run()


# ── on real sockets ──────────────────────────────────────────────────────────────────────────────────────

BRISK = Config(server=Server(port=0), keepalive=KeepaliveConfig(ping_ms=100, pong_wait_ms=200))
PATIENT = Config(server=Server(port=0), keepalive=KeepaliveConfig(ping_ms=50, pong_wait_ms=20_000))
REAL_TIME = pytest.mark.parametrize("anyio_backend", ["trio"])


@REAL_TIME
async def test_a_peer_that_answers_nothing_is_dropped_without_a_close_frame() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_hub(BRISK) as hub, await raw.upgraded(hub.port) as stream:
            assert await raw.read_to_end(stream) == PING_FRAME
    assert not [line for line in logs if line["log_level"] == "error"]


@REAL_TIME
async def test_a_peer_that_answers_ping_frames_stays() -> None:
    async with running_hub(PATIENT) as hub, await raw.upgraded(hub.port) as stream:
        for _ in range(6):
            assert await stream.receive_some() == PING_FRAME
            await stream.send_all(raw.frame(raw.PONG, b""))
        await stream.send_all(raw.frame(raw.TEXT, b"PING"))
        assert await stream.receive_some() == text_frame(b"PONG")


RESUME = {"path": "stream.onSystemEvent", "lastEventId": "x"}
V11_SIGNS = {
    "PING": raw.frame(raw.TEXT, b"PING"),
    "lastEventId": raw.text({"id": 1, "method": "subscription", "params": RESUME}),
}


@REAL_TIME
@pytest.mark.parametrize("sign", V11_SIGNS.values(), ids=V11_SIGNS.keys())
async def test_a_peer_that_has_shown_itself_v11_is_pinged_by_text(sign: bytes) -> None:
    async with running_hub(BRISK) as hub, await raw.upgraded(hub.port) as stream:
        await stream.send_all(sign)
        assert (await raw.read_to_end(stream)).endswith(TEXT_PING)


@REAL_TIME
async def test_a_peer_with_connection_params_is_pinged_by_text() -> None:
    async with running_hub(PATIENT) as hub, open_peer(hub.url, "/?connectionParams=1") as peer:
        await peer.tell({"method": "connectionParams", "data": None})
        assert await peer.hear() == "PING"


@REAL_TIME
async def test_what_a_v10_client_says_does_not_make_it_a_v11_one() -> None:
    async with running_hub(BRISK) as hub, await raw.upgraded(hub.port) as stream:
        call = request(1, "subscription", "stream.onTaskProgress", {"taskId": "t"})
        await stream.send_all(raw.text(call))
        assert (await raw.read_to_end(stream)).endswith(PING_FRAME)
