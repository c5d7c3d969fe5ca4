"""One request and its response: every way to answer in HTTP/1.1 and 1.0, and what the connection does then.

No hub here: an answer written for the test sits behind a reception.
"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from adohub.net import exchange as module
from adohub.net.exchange import Exchange
from tests.net import raw
from tests.net.answering import KEEP_ALIVE, Answer, answering, as_1_0, chunked, count, echo, hello, post

# ── one after another ────────────────────────────────────────────────────────────────────────────────────


async def test_requests_are_answered_one_after_another() -> None:
    async with answering(echo) as (client, _):
        for body in (b"one", b"", b"three" * 100):
            response = await client.ask(post(body), "POST")
            assert (response.status, response.body) == (200, body)
            assert "connection" not in response.headers


@pytest.mark.parametrize(
    "request_",
    [raw.head("/", {"Host": "hub", "Connection": "x, Close"}), as_1_0(raw.head()), as_1_0(raw.head("/", {}))],
    ids=["close", "1.0", "1.0 without host"],
)
async def test_the_connection_ends_when_the_peer_wants_it_so(request_: bytes) -> None:
    async with answering(hello) as (client, _):
        response = await client.ask(request_)
        assert (response.body, response.headers["connection"]) == (b"hello", "close")
        assert await client.is_over()


async def test_a_1_0_peer_may_ask_to_stay_and_is_told_that_it_may() -> None:
    async with answering(hello) as (client, _):
        for _ in range(2):
            await client.stream.send_all(as_1_0(KEEP_ALIVE))
            received = b""
            while not received.endswith(b"hello"):
                received += await client.stream.receive_some()
            response = raw.response(received)
            assert response is not None
            assert response.headers["connection"] == "keep-alive"


@pytest.mark.parametrize(
    "first", [raw.head(), post(b"body"), chunked(b"bo", b"dy")], ids=["GET", "POST", "chunked"]
)
async def test_a_request_that_does_not_wait_for_the_answer_before_is_not_acted_upon(first: bytes) -> None:
    seen: list[str] = []

    async def answer(exchange: Exchange) -> None:
        seen.append(exchange.head.path)
        await echo(exchange)

    async with answering(answer) as (client, _):
        await client.stream.send_all(first + raw.head("/second"))
        assert (await client.response()).headers["connection"] == "close"
        assert await client.is_over()
    assert seen == ["/"]


async def test_a_body_that_nobody_wanted_is_passed_over_if_it_is_there_and_else_ends_the_connection() -> None:
    async with answering(hello) as (client, _):
        assert "connection" not in (await client.ask(post(b"ignored"), "POST")).headers
        assert "connection" not in (await client.ask(raw.head())).headers
        response = await client.ask(
            raw.head("/", {"Host": "a", "Content-Length": "9"}, method="POST"), "POST"
        )
        assert response.headers["connection"] == "close"
        assert await client.is_over()


async def test_beyond_the_limit_of_connections_one_answer_is_given() -> None:
    async with answering(hello, is_excess=True) as (client, _):
        assert (await client.ask(raw.head())).headers["connection"] == "close"
        assert await client.is_over()


# ── responses ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_streamed_response_is_chunked_and_the_connection_goes_on() -> None:
    async with answering(count) as (client, _):
        for _ in range(2):
            response = await client.ask(raw.head())
            assert (response.body, response.headers["content-type"]) == (b"0,1,2,", "text/csv")
            assert response.headers["transfer-encoding"] == "chunked"


async def test_to_a_1_0_peer_a_streamed_response_ends_with_the_connection() -> None:
    async with answering(count) as (client, _):
        await client.stream.send_all(as_1_0(KEEP_ALIVE))
        response = raw.response(await raw.read_to_end(client.stream))
        assert response is not None
        assert (response.body, response.headers["connection"]) == (b"0,1,2,", "close")
        assert not {"transfer-encoding", "content-length"} & response.headers.keys()


async def test_an_endless_response_is_raw_bytes_until_the_connection_ends() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.begin_endless(200, "text/event-stream", {"cache-control": "no-cache"})
        exchange.outbox.send(b"data: 1\n\n")

    async with answering(answer) as (client, _):
        await client.stream.send_all(raw.head())
        response = raw.response(await raw.read_to_end(client.stream))
        assert response is not None
        assert response.body == b"data: 1\n\n"
        assert (response.headers["connection"], response.headers["cache-control"]) == ("close", "no-cache")
        assert not {"transfer-encoding", "content-length"} & response.headers.keys()


@pytest.mark.parametrize("answer", [hello, count])
async def test_head_gets_the_head_alone(answer: Answer) -> None:
    async with answering(answer) as (client, _):
        for _ in range(2):
            response = await client.ask(raw.head(method="HEAD"), "HEAD")
            assert (response.status, response.body) == (200, b"")
            assert "connection" not in response.headers


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("streamed", [False, True])
async def test_these_have_no_body_and_say_nothing_of_one(status: int, streamed: bool) -> None:
    async def answer(exchange: Exchange) -> None:
        if not streamed:
            exchange.respond(status, b"ignored")
            return
        exchange.begin(status)
        await exchange.write(b"ignored")
        exchange.end()

    async with answering(answer) as (client, _):
        for _ in range(2):
            response = await client.ask(raw.head())
            assert (response.status, response.body) == (status, b"")
            assert not {"transfer-encoding", "content-length", "content-type"} & response.headers.keys()


async def test_headers_of_the_exchange_are_in_any_response_and_what_varies_is_listed_together() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.headers["vary"] = "origin"
        exchange.headers["x-a"] = "1"
        exchange.respond(200, headers={"Vary": "accept", "Content-Type": "text/css"})

    async with answering(answer) as (client, _):
        headers = (await client.ask(raw.head())).headers
        assert (headers["vary"], headers["x-a"], headers["content-type"]) == (
            "origin, accept",
            "1",
            "text/css",
        )


async def test_a_header_that_cannot_be_sent_leaves_the_response_to_be_given() -> None:
    async def answer(exchange: Exchange) -> None:
        for bad in ("a\r\nset-cookie: b", "a\nb", "\0", "€"):
            with pytest.raises(ValueError, match="x-bad"):
                exchange.respond(200, headers={"x-bad": bad})
        exchange.respond(200, b"good")

    async with answering(answer) as (client, _):
        assert (await client.ask(raw.head())).body == b"good"


async def test_a_response_that_breaks_off_does_not_look_whole() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.begin(200)
        await exchange.write(b"half")

    async with answering(answer) as (client, _):
        await client.stream.send_all(raw.head())
        assert (await raw.read_to_end(client.stream)).endswith(b"\r\n\r\n4\r\nhalf\r\n")


async def test_without_a_response_the_connection_ends() -> None:
    async def answer(exchange: Exchange) -> None:
        pass

    async with answering(answer) as (client, _):
        await client.stream.send_all(raw.head())
        assert await client.is_over()


# ── peers that do not read, or leave ─────────────────────────────────────────────────────────────────────

LONG = b"x" * 4_000_000


async def test_the_next_request_is_read_when_the_answer_has_been_taken() -> None:
    asked: list[str] = []

    async def answer(exchange: Exchange) -> None:
        asked.append(exchange.head.path)
        exchange.respond(200, LONG)

    async with answering(answer) as (client, _):
        await client.stream.send_all(raw.head("/1"))
        await trio.testing.wait_all_tasks_blocked(0.05)
        await client.stream.send_all(raw.head("/2"))
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert asked == ["/1"]
        assert (await client.response()).body == LONG
        assert (await client.response()).body == LONG
        assert asked == ["/1", "/2"]


async def whole(exchange: Exchange) -> None:
    exchange.respond(200, LONG)


async def streamed(exchange: Exchange) -> None:
    exchange.begin(200)
    while True:
        await exchange.write(LONG)


@pytest.mark.parametrize("answer", [whole, streamed])
async def test_who_takes_nothing_of_its_answer_is_let_go(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_S", 0.1)
    ended = trio.Event()

    async def watched(exchange: Exchange) -> None:
        try:
            await answer(exchange)
            await exchange.passed_on()
        finally:
            ended.set()

    async with answering(watched) as (client, _):
        await client.stream.send_all(raw.head())
        with trio.fail_after(10):
            await ended.wait()
            assert len(await raw.read_to_end(client.stream)) < len(LONG)


async def test_who_takes_its_answer_slowly_is_given_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_S", 0.2)
    async with answering(whole) as (client, _):
        await client.stream.send_all(raw.head("/", {"Host": "a", "Connection": "close"}))
        received = 0
        began = trio.current_time()
        while data := await client.stream.receive_some(200_000):
            received += len(data)
            await trio.sleep(0.01)
        assert received > len(LONG)
        assert trio.current_time() - began > 0.2


async def test_writing_to_who_is_gone_ends() -> None:
    ended = trio.Event()

    async def answer(exchange: Exchange) -> None:
        try:
            await streamed(exchange)
        finally:
            ended.set()

    async with answering(answer) as (client, _):
        await client.stream.send_all(raw.head())
        await client.stream.receive_some(1)
        raw.reset(client.stream)
        await ended.wait()
