"""What real clients have sent, to begin with: from the golden transcripts, by the way it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ormsgpack import packb

from tests.net import raw
from tests.transcripts.golden_files import GOLDEN, recorded
from tests.wire.client_frames import ClientFrame, close, fragmented, ping, stream, text

ROOT = Path(__file__).parents[2]

INPUTS: Sequence[Any] = (
    {"topic": "task.progress", "payload": {"taskId": "t", "phase": "impl", "progress": 1, "message": "é 😀"}},
    {"events": [{"topic": "agent.output", "payload": {}, "idempotencyKey": "k"}]},
    {"topics": ["task.*", "**"], "key": "t", "after": "e-1", "limit": 10},
    {"key": "a.b", "value": {"deep": [1, None, True, 1.5]}, "ifRevision": 0},
    {"workerId": "w", "capabilities": ["x"], "metadata": {"a": 1}, "replay": "all", "maxRate": 2.5},
)
"""What the hub's own procedures and channels are asked for."""

PATHS = ("events.publish", "events.publishMany", "events.history", "state.set", "workers.attend")


@cache
def _recorded() -> Sequence[dict[str, Any]]:
    frames = [frame for transcript in recorded(GOLDEN) for frame in transcript.document["frames"]]
    return [frame for frame in frames if frame["dir"] == "c2s"]


@cache
def calls() -> Sequence[dict[str, Any]]:
    """Messages that are tRPC: those recorded, and calls of the hub's own procedures."""
    said = [frame["data"] for frame in _recorded() if frame["kind"] == "text"]
    return [*(one for one in said if isinstance(one, dict)), *_calls()]


def _calls() -> Iterator[dict[str, Any]]:
    for number, (path, given) in enumerate(zip(PATHS, INPUTS, strict=True), start=1):
        kind = "subscription" if path == "workers.attend" else "mutation" if "." in path[6:] else "query"
        yield {"id": number, "method": kind, "params": {"path": path, "input": given}}


@cache
def texts() -> Sequence[bytes]:
    """Text messages: those recorded, and calls of the hub's own procedures."""
    said = [frame["data"] for frame in _recorded() if frame["kind"] == "text"]
    own = [json.dumps(call, ensure_ascii=False) for call in _calls()]
    told = [one if isinstance(one, str) else json.dumps(one) for one in said]
    return [one.encode() for one in dict.fromkeys([*told, *own])]


@cache
def packed() -> Sequence[bytes]:
    """MessagePack: what was recorded, and the same calls."""
    said = [bytes.fromhex(frame["data"]["hex"]) for frame in _recorded() if frame["kind"] == "binary"]
    return list(dict.fromkeys([*said, *map(packb, _calls())]))


@cache
def frames() -> Sequence[bytes]:
    """Whole sessions of a WebSocket: its frames, one behind the other."""
    sessions = [
        stream(
            *(text(line.content) for line in connection.lines if line.speaker == ">" and line.content != b"")
        )
        for transcript in recorded(GOLDEN)
        for connection in transcript.connections
        if all(isinstance(line.content, str) for line in connection.lines)
    ]
    binaries = [bytes(ClientFrame(one, 0x2)) for one in packed()]
    torn = [stream(*fragmented(one, 7), ping(b"p"), close(1000, "bye")) for one in texts()[-5:]]
    return list(dict.fromkeys([*sessions, *binaries, *torn]))


@cache
def requests() -> Sequence[bytes]:
    """HTTP requests, bodies included: those recorded, and what the hub has besides."""
    said = [_request(frame["data"]) for frame in _recorded() if frame["kind"] == "http-request"]
    chunks = b'5\r\n{"a":\r\n3;x=y\r\n 1}\r\n0\r\nTrailer: x\r\n\r\n'
    chunked = raw.head("/trpc/events.publish", {"Host": "hub", "Transfer-Encoding": "chunked"}, method="POST")
    own = [
        raw.upgrade("/?connectionParams=1&token=t"),
        raw.head("/trpc/stream.onSystemEvent?lastEventId=e-1", {"Host": "hub", "Last-Event-ID": "e-2"}),
        raw.head("/metrics", {"Host": "hub", "Accept": "application/openmetrics-text"}),
        raw.head("*", {"Host": "hub", "Origin": "https://a.example"}, method="OPTIONS"),
        raw.head("http://hub/healthz", {"Host": "hub", "Authorization": "Bearer t"}),
        chunked + chunks,
    ]
    return list(dict.fromkeys([*said, *own]))


def _request(data: dict[str, Any]) -> bytes:
    """A recorded request as bytes. The recorded ones are below another prefix."""
    body = data.get("body")
    sent = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {
        "Host": "hub",
        **data.get("headers", {}),
        **({"Content-Length": str(len(sent))} if sent else {}),
    }
    target = data["url"] if data["url"].startswith("/trpc") else f"/trpc{data['url']}"
    return (
        raw.head(target, {name: str(value) for name, value in headers.items()}, method=data["method"]) + sent
    )


@cache
def letters() -> Sequence[bytes]:
    """Addresses and bodies: those recorded, and what event streams say besides."""
    said = [frame["data"] for frame in _recorded() if frame["kind"] == "http-request"]
    own = [
        b'stream.onSystemEvent?lastEventId=e-1&connectionParams={"token":"t"}&input={"replay":"all"}',
        b'events.publish,events.publish?batch=1\n{"0":{"topic":"a.b"},"1":null}',
    ]
    return list(dict.fromkeys([*map(_letter, said), *own]))


def _letter(data: dict[str, Any]) -> bytes:
    body = data.get("body")
    sent = "" if body is None else (body if isinstance(body, str) else json.dumps(body))
    return f"{data['url'].removeprefix('/trpc').removeprefix('/')}\n{sent}".encode()


@cache
def superjsons() -> Sequence[bytes]:
    """What superjson writes, from its recorded format."""
    recorded_format = json.loads((GOLDEN / "superjson-format.json").read_text("utf-8"))
    written = [json.dumps(one) for one in _written(recorded_format)]
    return [one.encode() for one in dict.fromkeys(written)]


def _written(value: Any) -> Iterator[Any]:
    """Every `{"json": …}` in `value`."""
    if isinstance(value, dict):
        if "json" in value:
            yield value
        for item in value.values():
            yield from _written(item)
    elif isinstance(value, list):
        for item in value:
            yield from _written(item)


@cache
def tomls() -> Sequence[bytes]:
    """The configurations that come with adohub."""
    return [path.read_bytes() for path in sorted((ROOT / "config").glob("*.toml"))]
