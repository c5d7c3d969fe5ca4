"""Whatever bytes a connection begins with, it is answered or ended, and the hub lives on."""

from __future__ import annotations

import json

import pytest
import structlog.testing
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub.config import Config, Server
from adohub.net.head import MAX_HEAD_BYTES, Head, HeadRefused, parsed, plain_head
from tests.net import raw
from tests.running import gates_made, open_peer, running_hub, until


@st.composite
def spoilt_heads(draw: st.DrawFn) -> bytes:
    """A handshake with a few of its bytes replaced."""
    whole = bytearray(raw.upgrade("/trpc"))
    for _ in range(draw(st.integers(1, 3))):
        whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return bytes(whole)


UNREADABLE = {
    "noise": b"\x00\xff\x80 what is this\r\n\r\n",
    "no HTTP": b"HELO hub.example\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a target that is no address": raw.head("mailto:hub"),
    "more blanks than text": raw.upgrade(X=" " * 300 + "\x7f"),
    "two lengths": raw.head("/", {"Host": "a", "Content-Length": "1, 2"}),
}


@pytest.mark.parametrize("bytes_", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_is_no_http_gets_400(bytes_: bytes) -> None:
    async with running_hub() as hub, open_peer(hub.url) as other:
        response = await raw.exchange(hub.port, bytes_ + b"\r\n\r\n")
        assert response is not None
        assert response.status == 400
        assert json.loads(response.body)["error"]["message"]
        await other.is_served()


@pytest.mark.parametrize("big", ["target", "header", "many headers"])
async def test_a_head_that_is_too_long_gets_431(big: str) -> None:
    filling = "x" * MAX_HEAD_BYTES
    requests = {
        "target": raw.head("/" + filling),
        "header": raw.upgrade(X_Filling=filling),
        "many headers": raw.upgrade(**{f"x{number}": "x" for number in range(MAX_HEAD_BYTES // 8)}),
    }
    async with running_hub() as hub:
        response = await raw.exchange(hub.port, requests[big])
        assert response is not None
        assert response.status == 431


async def test_a_head_that_is_nearly_too_long_is_read() -> None:
    async with running_hub() as hub:
        response = await raw.exchange(
            hub.port, raw.head("/healthz", {"Host": "a", "X": "x" * (MAX_HEAD_BYTES - 200)})
        )
        assert response is not None
        assert response.status == 200


@pytest.mark.parametrize("begun", [b"G", raw.upgrade()[:-2]], ids=["a letter", "nearly all"])
async def test_a_head_that_does_not_come_in_time_gets_408(begun: bytes) -> None:
    hasty = Config(server=Server(port=0, handshake_timeout_ms=200))
    async with running_hub(hasty) as hub, open_peer(hub.url) as other:
        async with await raw.connected(hub.port) as stream:
            await stream.send_all(begun)
            response = raw.response(await raw.read_to_end(stream))
            assert response is not None
            assert (response.status, response.headers["connection"]) == (408, "close")
        await other.is_served()


async def test_who_says_nothing_is_seen_out_without_a_word() -> None:
    hasty = Config(server=Server(port=0, handshake_timeout_ms=200))
    async with running_hub(hasty) as hub, await raw.connected(hub.port) as stream:
        assert await raw.read_to_end(stream) == b""


async def test_bytes_that_trickle_in_do_not_prolong_the_wait() -> None:
    hasty = Config(server=Server(port=0, handshake_timeout_ms=300))
    async with running_hub(hasty) as hub, await raw.connected(hub.port) as stream:
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                try:
                    while True:
                        await stream.send_all(b"x")
                        await trio.sleep(0.02)
                except trio.BrokenResourceError:
                    return

            nursery.start_soon(trickle)
            assert (await raw.read_to_end(stream)).startswith(b"HTTP/1.1 408 ")


async def test_a_head_may_come_byte_by_byte() -> None:
    async with running_hub() as hub, await raw.connected(hub.port) as stream:
        for byte in raw.head("/healthz"):
            await stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        await stream.send_eof()
        response = raw.response(await raw.read_to_end(stream))
        assert response is not None
        assert response.status == 200


# ── plain heads ──────────────────────────────────────────────────────────────────────────────────────────


def read_by_h11(bytes_: bytes) -> Head | None:
    """What h11 makes of the same bytes; None if they do not hold all of it, or it is refused."""
    try:
        return parsed(bytes_) if b"\r\n\r\n" in bytes_ else None
    except HeadRefused:
        return None


heads = st.builds(
    raw.head,
    st.sampled_from(
        ["/", "/trpc?token=a%20b&connectionParams=1", "/a/./b", "/a#b", "//host/x", "/?", "*", "/ä", "/a b"]
    ),
    st.dictionaries(
        st.sampled_from(
            [
                "Host",
                "Upgrade",
                "upgrade",
                "X-a",
                "Content-Length",
                "content-length",
                "Transfer-Encoding",
                "Ä",
                "",
            ]
        ),
        st.sampled_from(
            ["websocket", "hub:1", " padded\t", "", "a\tb", "\x7f", "ä", "0", "5", "5, 5", "\x00", "chunked"]
        ),
    ),
    method=st.sampled_from(["GET", "GET", "GET", "POST", "get"]),
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(heads | spoilt_heads(), st.binary(max_size=5))
def test_a_plain_head_is_what_h11_makes_of_it(bytes_: bytes, rest: bytes) -> None:
    try:
        plain = plain_head(bytes_ + rest)
    except HeadRefused:
        assert read_by_h11(bytes_ + rest) is None
        return
    if plain is not None:
        assert plain == read_by_h11(bytes_ + rest)


def test_the_handshakes_of_real_clients_are_plain() -> None:
    handshake = raw.upgrade(
        "/?connectionParams=1", Origin="http://a.example", User_Agent="node", Accept="*/*"
    )
    head = plain_head(handshake)
    assert head is not None
    assert head == read_by_h11(handshake)
    assert (head.is_upgrade, head.query, head.headers["origin"]) == (
        True,
        {"connectionParams": "1"},
        "http://a.example",
    )


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A handshake with something of it replaced, and something after it."""
    whole = raw.upgrade(draw(st.sampled_from(["/", "/trpc", "/?connectionParams=1", "/healthz"])))
    begin = draw(st.integers(0, len(whole)))
    end = draw(st.integers(begin, min(len(whole), begin + 20)))
    return whole[:begin] + draw(st.binary(max_size=20)) + whole[end:] + draw(st.binary(max_size=50))


ANYTHING = st.lists(st.binary(max_size=300) | spoilt(), min_size=1, max_size=10)


@settings(deadline=None, max_examples=40)
@given(ANYTHING)
def test_no_bytes_harm_the_hub_or_leave_a_connection_behind(beginnings: list[bytes]) -> None:
    trio.run(throw, beginnings, False)


@settings(deadline=None, max_examples=40)
@given(ANYTHING)
def test_no_bytes_after_the_handshake_harm_the_hub_or_leave_a_connection_behind(frames: list[bytes]) -> None:
    trio.run(throw, frames, True)


async def throw(chunks: list[bytes], upgraded: bool) -> None:
    """Each of `chunks` on a connection of its own, which is then half closed and read to its end."""
    with gates_made() as gates, structlog.testing.capture_logs() as logs:
        async with running_hub() as hub, open_peer(hub.url) as other:
            for chunk in chunks:
                async with await (raw.upgraded if upgraded else raw.connected)(hub.port) as stream:
                    await stream.send_all(chunk)
                    await stream.send_eof()
                    await raw.read_to_end(stream)
            await other.is_served()
            await until(lambda: gates[0].connections == 1)
    assert not [line for line in logs if line["log_level"] == "error"]
