"""HTTP in the benchmark: what is counted has happened, and an answer that is not in order is no figure."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import define, evolve

from tests.bench import over_http
from tests.bench.errors import BenchError
from tests.bench.peers import ADOHUB, TRPC, TRPC_GENERATORS, Peer
from tests.bench.peers import PEERS as ALL_PEERS
from tests.bench.processes import Ledgers, Load, Server
from tests.bench.rig import Rig, Scenario
from tests.net import raw

DEADLINE_S = 60


# ── real servers ─────────────────────────────────────────────────────────────────────────────────────────


def installed(peer: Peer) -> Peer:
    if (missing := peer.missing()) is not None:
        pytest.fail(f"{peer.name} is measured here: {missing}")
    return peer


@pytest.mark.parametrize(
    ("scenario", "peer"),
    [
        pytest.param(scenario, peer, id=f"{scenario.name}-{peer.name}")
        for scenario in over_http.SCENARIOS
        for peer in (ADOHUB, TRPC, TRPC_GENERATORS)
        if scenario.suits(peer)
    ],
)
async def test_a_scenario_yields_its_figures(rig: Rig, scenario: Scenario, peer: Peer) -> None:
    node_warms_up = evolve(rig.plan, warm_s=0.5, calls_warm_s=0.5, measure_s=1, sse_s=1)
    with trio.fail_after(DEADLINE_S):
        figures = await scenario.measure(evolve(rig, plan=node_warms_up), installed(peer))
    assert list(figures) == list(scenario.units)
    assert all(value > 0 for value in figures.values()), figures


def test_calls_are_measured_of_each_stack_and_events_of_each_form_of_it() -> None:
    suited = {
        each.name: [peer.name for peer in ALL_PEERS if each.suits(peer)] for each in over_http.SCENARIOS
    }
    assert suited == {
        "queries": ["adohub", "trpc"],
        "mutations": ["adohub", "trpc"],
        "sse": ["adohub", "trpc", "trpc-generators"],
    }


async def test_each_mutation_that_is_counted_has_published_one_event(rig: Rig) -> None:
    payload = {"taskId": "task-0", "phase": "impl", "progress": 1, "message": ""}
    body = json.dumps({"topic": "task.progress", "payload": payload}).encode()
    headers = {"Host": "hub", "Content-Type": "application/json", "Content-Length": str(len(body))}
    with trio.fail_after(DEADLINE_S):
        async with rig.serving(installed(TRPC)) as server:
            async with rig.loading(server, {"measure": 0.5}, dialect="mutation", callers=3) as load:
                await load.step("connected")
                await load.step("measure")
                drained = await load.step("drained")
            async with raw.asking(server.port) as connection:
                request = raw.head("/trpc/events.publish", headers, method="POST") + body
                after = await connection.ask(request, "POST")
    assert drained.sent == drained.acknowledged > 0
    assert json.loads(after.body)["result"]["data"]["id"] == str(drained.sent + 1)


# ── a server that says what it is told ───────────────────────────────────────────────────────────────────

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""To whom publishes: the load generator's handshake always has the same key."""

HEALTH = b'{"result":{"data":{"status":"ok","version":"1","instance":"a","uptime":1.5}}}'
PUBLISHED = b'{"result":{"data":{"id":"1","timestamp":"2026-01-02T03:04:05.678Z"}}}'
REFUSED = b'{"error":{"message":"no","code":-32600,"data":{"code":"BAD_REQUEST","httpStatus":400}}}'


def head(media_type: str, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def sized(body: bytes, media_type: str = "application/json", status: str = "200 OK") -> list[bytes]:
    return [head(media_type, f"content-length: {len(body)}", status=status) + body]


def cut(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def chunked(body: bytes, size: int, media_type: str, *, ends: bool) -> list[bytes]:
    """A chunk for every so many bytes."""
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut(body, size)]
    return [head(media_type, "Transfer-Encoding: chunked"), *chunks, *([b"0\r\n\r\n"] if ends else [])]


@define(eq=False)
class Scripted:
    """Answers each request with the same `pieces`, written one after another, and a handshake as it must."""

    pieces: Sequence[bytes]
    answered: int = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            while request := await _request(stream):
                if b"Upgrade: websocket" in request:
                    await stream.send_all(SWITCHED)
                else:
                    await self._answer(stream)

    async def _answer(self, stream: trio.SocketStream) -> None:
        for piece in self.pieces:
            await stream.send_all(piece)
        self.answered += 1


async def _request(stream: trio.SocketStream) -> bytes:
    """The next request, which comes alone and ends with its head or a JSON object; nothing at the end."""
    received = b""
    while not received.endswith((b"\r\n\r\n", b"}")):
        chunk = await stream.receive_some()
        if not chunk:
            return b""
        received += chunk
    return received


@asynccontextmanager
async def serving(script: Scripted, folder: Path) -> AsyncIterator[Server]:
    output = folder / "output"
    output.touch()
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, script.serve, 0, host="127.0.0.1")
            [listener] = await nursery.start(serve)
            yield Server(TRPC, os.getpid(), listener.socket.getsockname()[1], output)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "pieces",
    [
        sized(HEALTH),
        cut(sized(HEALTH)[0], 7),
        chunked(HEALTH, 1000, "application/json; charset=utf-8", ends=True),
        chunked(HEALTH, 1, "application/json", ends=True),
        cut(b"".join(chunked(HEALTH, 20, "application/json", ends=True)), 3),
    ],
    ids=["sized", "sized-in-pieces", "one-chunk", "many-chunks", "chunks-in-pieces"],
)
async def test_as_many_answers_are_counted_as_were_given(
    rig: Rig, tmp_path: Path, pieces: Sequence[bytes]
) -> None:
    script = Scripted(pieces)
    async with (
        serving(script, tmp_path) as server,
        rig.loading(server, {"measure": 0.2}, dialect="query", callers=3) as load,
    ):
        await load.step("connected")
        measured = await load.step("measure")
        drained = await load.step("drained")
    assert measured.acknowledged > 3
    assert drained.sent == drained.acknowledged == script.answered


@pytest.mark.parametrize(
    ("dialect", "pieces"),
    [
        ("query", sized(PUBLISHED)),
        ("query", sized(HEALTH.replace(b"ok", b"draining"))),
        ("query", sized(HEALTH, status="503 Service Unavailable")),
        ("query", sized(HEALTH, "text/plain")),
        ("query", sized(REFUSED)),
        ("query", sized(b"")),
        ("mutation", sized(HEALTH)),
        ("mutation", sized(REFUSED)),
        ("mutation", sized(REFUSED, status="400 Bad Request")),
        ("mutation", chunked(REFUSED, 10, "application/json", ends=True)),
    ],
)
async def test_a_call_that_is_not_answered_as_it_should_be_fails_the_measurement(
    rig: Rig, tmp_path: Path, dialect: str, pieces: Sequence[bytes]
) -> None:
    async with (
        serving(Scripted(pieces), tmp_path) as server,
        rig.loading(server, {"measure": 1}, dialect=dialect, callers=2) as load,
    ):
        await load.step("connected")
        with pytest.raises(BenchError, match="refused"):
            await load.step("measure")


# ── server-sent events ───────────────────────────────────────────────────────────────────────────────────

EVENT_STREAM = "text/event-stream"
CONNECTED = b"event: connected\ndata: {}\n\n"


def _data(number: int) -> bytes:
    """An event as the load generator makes them: its number, and when it was made."""
    return b'data: {"taskId":"task-0","message":"#%08x%016x"}\n' % (number, 1)


def tracked(numbers: Sequence[int]) -> bytes:
    """As @trpc/server writes them."""
    return CONNECTED + b"".join(_data(number) + b"id: %d\n\n\n" % number for number in numbers)


def plain(numbers: Sequence[int]) -> bytes:
    """As the hub writes events of `stream.*`: an empty id, and then a ping that carries it."""
    pings = [b"id:\n\nevent: ping\ndata:\nid: %d\n\n" % number for number in numbers]
    return CONNECTED + b"".join(_data(number) + ping for number, ping in zip(numbers, pings, strict=True))


@pytest.mark.parametrize("form", [tracked, plain])
@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("in_chunks", [True, False], ids=["chunked", "to-the-end"])
async def test_every_event_of_a_stream_is_taken_note_of_however_it_is_cut(
    rig: Rig, tmp_path: Path, form: Callable[[Sequence[int]], bytes], size: int, in_chunks: bool
) -> None:
    stream = form([0, 1, 3, 4, 4, 5])
    pieces = (
        chunked(stream, size, EVENT_STREAM, ends=False)
        if in_chunks
        else [head(EVENT_STREAM), *cut(stream, size)]
    )
    async with (
        serving(Scripted(pieces), tmp_path) as server,
        rig.loading(server, dialect="sse", subscribers=2, replayed=6) as load,
    ):
        await load.step("connected")
        replayed = await load.step("replayed")
        assert await load.ledgers() == Ledgers(missing=2, repeated=2, gaps=2, lost=2, late=0)
    assert replayed.delivered == 10


@pytest.mark.parametrize(
    "pieces",
    [
        sized(CONNECTED, "application/json"),
        sized(REFUSED, status="404 Not Found"),
        [head(EVENT_STREAM, status="503 Service Unavailable"), CONNECTED],
        [head(EVENT_STREAM), CONNECTED, b'event: serialized-error\ndata: {"message":"no"}\n\n'],
        [head(EVENT_STREAM), CONNECTED, b"event: return\ndata: \n\n"],
        [head(EVENT_STREAM), CONNECTED, b'data: {"taskId":"task-0","message":"no event of ours"}\n\n'],
        chunked(tracked([0]), 1000, EVENT_STREAM, ends=True),
    ],
    ids=["json", "404", "503", "error", "return", "other-data", "end"],
)
async def test_a_stream_that_is_refused_or_ends_fails_the_measurement(
    rig: Rig, tmp_path: Path, pieces: Sequence[bytes]
) -> None:
    async with (
        serving(Scripted(pieces), tmp_path) as server,
        rig.loading(server, dialect="sse", replayed=2) as load,
    ):
        with pytest.raises(BenchError, match=r"refused|ended a stream"):
            await _replayed(load)


async def _replayed(load: Load) -> None:
    await load.step("connected")
    await load.step("replayed")
