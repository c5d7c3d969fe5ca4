"""Whatever bytes a connection begins with, it is answered or ended, and the hub lives on."""

from __future__ import annotations

import json

import h11
import pytest
import structlog.testing
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub.config import Config, Limits, Server
from adohub.net.head import Head, HeadRefused, parsed, plain_head
from tests.net import raw
from tests.net.strangers import strangers
from tests.running import FREE_PORT, gates_made, open_peer, running_hub, until


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
    "more blanks than text": raw.upgrade(X=" " * 300 + "é"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 in name only": raw.head().replace(b"1.1", b"2.0"),
    "HTTP/0.9": b"GET /\r\n",
    "half a line's end": b"GET / HTTP/1.1\nHost: a\n\n",
    "half a line's end in between": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "the other half": b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a blank before the first name": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a line without a colon": b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "a name that is no token": b"GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n",
    "a control character": raw.head("/", {"Host": "a", "X": "b\x01"}),
    "a NUL": raw.head("/", {"Host": "a", "X": "b\0"}),
    "DEL": raw.head("/", {"Host": "a", "X": "b\x7f"}),
    "two hosts": raw.head("/", {"Host": "a", "host": "b"}),
    "one host twice": raw.head("/", {"Host": "a", "host": "a"}),
    "another host in the target": raw.head("http://a/healthz", {"Host": "b"}),
    "somebody in the target": raw.head("http://me@a/healthz", {"Host": "a"}),
    "another protocol in the target": raw.head("ftp://a/healthz", {"Host": "a"}),
    "a fragment": raw.head("/healthz#x"),
    "a target that is no ASCII": raw.head("/é"),
    "blanks in the target": raw.head("/a b"),
    "a star to get": raw.head("*"),
    "a host to connect to": raw.head("hub:80", method="CONNECT"),
    "an empty length": raw.head("/", {"Host": "a", "Content-Length": ""}),
    "a negative length": raw.head("/", {"Host": "a", "Content-Length": "-1"}),
    "a length with a sign": raw.head("/", {"Host": "a", "Content-Length": "+1"}),
    "a hexadecimal length": raw.head("/", {"Host": "a", "Content-Length": "0x1"}),
    "a length beyond all bounds": raw.head("/", {"Host": "a", "Content-Length": "9" * 30}),
    "two lengths": raw.head("/", {"Host": "a", "Content-Length": "1, 2"}),
    "one length twice": raw.head("/", {"Host": "a", "Content-Length": "0, 0"}),
    "one length in two lines": raw.head("/", {"Host": "a", "Content-Length": "0", "content-length": "0"}),
    "a length and chunks": raw.head(
        "/", {"Host": "a", "Content-Length": "5", "Transfer-Encoding": "chunked"}, method="POST"
    ),
    "chunks in HTTP/1.0": raw.head("/", {"Transfer-Encoding": "chunked"}).replace(b"1.1", b"1.0"),
}


@pytest.mark.parametrize("bytes_", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_is_no_http_gets_400(bytes_: bytes) -> None:
    async with running_hub() as hub, open_peer(hub.url) as other:
        response = await raw.exchange(hub.port, bytes_ + b"\r\n\r\n")
        assert response is not None
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert json.loads(response.body)["error"]["message"]
        await other.is_served()


@pytest.mark.parametrize(
    "coding", ["gzip", "gzip, chunked", "chunked, chunked", "chunked;x=y", "identity", ""]
)
async def test_a_transfer_coding_that_is_not_known_gets_501(coding: str) -> None:
    async with running_hub() as hub:
        request = raw.head("/", {"Host": "a", "Transfer-Encoding": coding}, method="POST")
        response = await raw.exchange(hub.port, request + b"0\r\n\r\n")
        assert response is not None
        assert (response.status, response.headers["connection"]) == (501, "close")


@pytest.mark.parametrize(
    ("target", "headers", "path"),
    [
        ("//evil/x", {"Host": "a"}, "//evil/x"),
        ("/../etc/passwd", {"Host": "a"}, "/../etc/passwd"),
        ("/%00%", {"Host": "a"}, "/%00%"),
        ("http://A:80/x", {"Host": "a:80"}, "/x"),
        ("HTTPS://a", {"Host": "a"}, "/"),
        ("http://a?x=/y", {"Host": "a"}, "/"),
    ],
)
async def test_a_target_is_a_path_or_an_address_here(
    target: str, headers: dict[str, str | None], path: str
) -> None:
    assert parsed(raw.head(target, headers)).path == path


def test_a_query_is_there_raw_and_read() -> None:
    head = parsed(raw.head("/a?input=%7B%22x%22%3A1%7D&b&b=2&c=a+b&d=%ff?"))
    assert head.raw_query == "input=%7B%22x%22%3A1%7D&b&b=2&c=a+b&d=%ff?"
    assert head.query == {"input": '{"x":1}', "b": "2", "c": "a b", "d": "\ufffd?"}


def test_the_values_of_a_repeated_header_are_one_list() -> None:
    assert parsed(raw.head("/", {"Host": "a", "X": "1", "x": "2, 3"})).headers["x"] == "1, 2, 3"


@pytest.mark.parametrize(
    ("version", "connection", "keeps_alive"),
    [
        (b"1.1", None, True),
        (b"1.1", "keep-alive", True),
        (b"1.1", "upgrade, CLOSE", False),
        (b"1.0", None, False),
        (b"1.0", "Keep-Alive", True),
        (b"1.0", "keep-alive, close", False),
    ],
)
def test_whether_the_connection_is_kept_is_said_by_version_and_header(
    version: bytes, connection: str | None, keeps_alive: bool
) -> None:
    head = parsed(raw.head("/", {"Host": "a", "Connection": connection}).replace(b"1.1", version))
    assert head.keeps_alive is keeps_alive


@pytest.mark.parametrize("big", ["target", "header", "many headers"])
async def test_a_head_that_is_too_long_gets_431(big: str) -> None:
    filling = "x" * Limits().max_head_bytes
    requests = {
        "target": raw.head("/" + filling),
        "header": raw.upgrade(X_Filling=filling),
        "many headers": raw.upgrade(**{f"x{number}": "x" for number in range(Limits().max_head_bytes // 8)}),
    }
    async with running_hub() as hub:
        response = await raw.exchange(hub.port, requests[big])
        assert response is not None
        assert response.status == 431


async def test_a_head_that_is_nearly_too_long_is_read() -> None:
    async with running_hub() as hub:
        response = await raw.exchange(
            hub.port, raw.head("/healthz", {"Host": "a", "X": "x" * (Limits().max_head_bytes - 200)})
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


@pytest.mark.parametrize("blanks", [255, 256, 300])
def test_a_head_with_a_long_blank_is_read_in_one_way(blanks: int) -> None:
    for value in (" " * blanks, "a" + "\t" * blanks + "b"):
        bytes_ = raw.upgrade(X=value)
        assert (plain_head(bytes_) or read_by_h11(bytes_)) == read_by_h11(bytes_)


def test_what_real_clients_send_is_plain() -> None:
    handshake = raw.upgrade(
        "/?connectionParams=1", Origin="http://a.example", User_Agent="node", Accept="*/*"
    )
    head = plain_head(handshake)
    assert head is not None
    assert head == read_by_h11(handshake)
    posted = raw.head(
        "/trpc/events.publish?batch=1",
        {"host": "hub:3001", "content-type": "application/json", "content-length": "2", "accept": "*/*"},
        method="POST",
    )
    assert plain_head(posted + b"{}") == read_by_h11(posted + b"{}")
    assert (head.is_upgrade, head.query, head.headers["origin"]) == (
        True,
        {"connectionParams": "1"},
        "http://a.example",
    )


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────

BEGINNINGS = [
    raw.upgrade("/"),
    raw.upgrade("/trpc"),
    raw.upgrade("/?connectionParams=1"),
    raw.head("/healthz"),
    raw.head("/trpc/a.b?input=%7B%7D", {"Host": "hub", "Origin": "http://hub"}),
    raw.head("/echo", {"Host": "hub", "Content-Length": "4"}, method="POST") + b"body",
    raw.head("/echo", {"Host": "hub", "Transfer-Encoding": "chunked"}, method="POST")
    + b"1\r\nx\r\n0\r\n\r\n",
    raw.head("/trpc/a.b", {"Host": "hub", "Access-Control-Request-Method": "POST"}, method="OPTIONS"),
]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A handshake or a request with something of it replaced, and something after it."""
    whole = draw(st.sampled_from(BEGINNINGS))
    begin = draw(st.integers(0, len(whole)))
    end = draw(st.integers(begin, min(len(whole), begin + 20)))
    return whole[:begin] + draw(st.binary(max_size=20)) + whole[end:] + draw(st.binary(max_size=50))


ANYTHING = st.lists(st.binary(max_size=300) | spoilt(), min_size=1, max_size=10)


@settings(deadline=None, max_examples=60)
@given(ANYTHING)
def test_no_bytes_harm_the_hub_or_leave_a_connection_behind(beginnings: list[bytes]) -> None:
    for answer in trio.run(throw, beginnings, False):
        assert_well_formed(answer)


@settings(deadline=None, max_examples=40)
@given(ANYTHING)
def test_no_bytes_after_the_handshake_harm_the_hub_or_leave_a_connection_behind(frames: list[bytes]) -> None:
    trio.run(throw, frames, True)


async def throw(chunks: list[bytes], upgraded: bool) -> list[bytes]:
    """Each of `chunks` on a connection of its own, which is then half closed and read to its end."""
    answers = []
    with gates_made() as gates, structlog.testing.capture_logs() as logs:
        async with running_hub(FREE_PORT, strangers()) as hub, open_peer(hub.url) as other:
            for chunk in chunks:
                async with await (raw.upgraded if upgraded else raw.connected)(hub.port) as stream:
                    await stream.send_all(chunk)
                    await raw.end(stream)
                    answers.append(await raw.read_to_end(stream))
            await other.is_served()
            await until(lambda: gates[0].connections == 1)
    assert not [line for line in logs if line["log_level"] == "error"]
    return answers


def assert_well_formed(answer: bytes) -> None:
    """Fails unless `answer` is one response after another, or a WebSocket's from its handshake on."""
    if not answer or answer.startswith(b"HTTP/1.1 101 "):
        return
    parser = h11.Connection(h11.CLIENT)
    parser.receive_data(answer)
    parser.receive_data(b"")
    while parser.their_state is not h11.CLOSED:
        if parser.our_state is h11.IDLE:
            parser.send(h11.Request(method="GET", target="/", headers=[("Host", "hub")]))
            parser.send(h11.EndOfMessage())
        parser.next_event()
        if parser.our_state is parser.their_state is h11.DONE:
            parser.start_next_cycle()
            if not parser.trailing_data[0]:
                return
