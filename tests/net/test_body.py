"""Bodies of HTTP requests: whole, in chunks, too long, too late, and what lies behind them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.net import raw
from tests.net.answering import answering, as_1_0, chunked, echo, post


@pytest.mark.parametrize(
    "request_", [post(b"x" * 1001), chunked(b"x" * 600, b"x" * 600)], ids=["told", "chunked"]
)
async def test_a_body_that_is_too_long_gets_413(request_: bytes) -> None:
    async with answering(echo) as (client, _):
        assert (await client.ask(request_, "POST")).status == 413


async def test_a_body_that_is_told_to_be_too_long_gets_413_before_it_comes() -> None:
    async with answering(echo) as (client, _):
        request = raw.head(
            "/", {"Host": "a", "Content-Length": "1001", "Expect": "100-continue"}, method="POST"
        )
        response = await client.ask(request, "POST")
        assert (response.status, response.headers["connection"]) == (413, "close")
        assert await client.is_over()


async def test_who_waits_for_it_is_told_to_send_its_body() -> None:
    request = raw.head("/", {"Host": "a", "Content-Length": "4", "Expect": "100-Continue"}, method="POST")
    async with answering(echo) as (client, _):
        await client.stream.send_all(request)
        assert await client.stream.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.stream.send_all(b"body")
        assert (await client.response("POST")).body == b"body"


@pytest.mark.parametrize(
    "request_",
    [
        post(b"body", Expect="100-continue"),
        as_1_0(post(b"body", Expect="100-continue", Connection="keep-alive")),
    ],
    ids=["has begun to send", "1.0"],
)
async def test_who_does_not_wait_for_it_is_not_told_to_send_its_body(request_: bytes) -> None:
    async with answering(echo) as (client, _):
        await client.stream.send_all(request_)
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_unknown_expectation_gets_417() -> None:
    async with answering(echo) as (client, _):
        assert (await client.ask(post(b"body", Expect="the moon"), "POST")).status == 417


BAD_CHUNKS = {
    "no size": b"what?\r\n",
    "negative": b"-1\r\n\r\n",
    "too many digits": b"f" * 30 + b"\r\n",
    "no end of a chunk": b"3\r\nabcd\r\n0\r\n\r\n",
    "endless size line": b"3;" + b"x" * 5000,
    "blanks before half a line's end": b"3;" + b" " * 3000 + b"\n\r\n",
    "a trailer that is none": b"0\r\n: \r\n\r\n",
    "endless trailers": b"0\r\n" + b"x: y\r\n" * 1000,
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
async def test_chunks_that_cannot_be_read_get_400(body: bytes) -> None:
    async with answering(echo) as (client, _):
        head = raw.head("/", {"Host": "hub", "Transfer-Encoding": "chunked"}, method="POST")
        response = await client.ask(head + body, "POST")
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert await client.is_over()


async def test_what_chunks_say_besides_is_passed_over() -> None:
    async with answering(echo) as (client, _):
        head = raw.head("/", {"Host": "hub", "Transfer-Encoding": "Chunked"}, method="POST")
        response = await client.ask(head + b"2;a=b\r\nbo\r\n02\r\ndy\r\n0\r\nx: y\r\n\r\n", "POST")
        assert response.body == b"body"
        assert (await client.ask(post(b"next"), "POST")).body == b"next"


CUT = [
    post(b"a body", X="y"),
    chunked(b"a", b" body"),
    raw.head("/?q", {"Host": "hub", "X": "é"}),
    b"GET / \r\n\r\n",
]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(CUT), st.lists(st.integers(1, 120), max_size=5).map(sorted))
def test_a_request_cut_anywhere_is_answered_like_a_whole_one(request: bytes, cuts: list[int]) -> None:
    async def answers(pieces: list[bytes]) -> tuple[int, bytes]:
        async with answering(echo) as (client, _):
            for piece in pieces:
                await client.stream.send_all(piece)
                await trio.testing.wait_all_tasks_blocked()
            response = await client.response("POST")
            return response.status, response.body

    places = [0, *cuts, len(request)]
    pieces = [request[a:b] for a, b in pairwise(places) if a < b]
    assert trio.run(answers, pieces) == trio.run(answers, [request])
