"""WebSocket frames in each of which something may be wrong, by chance: the same chance, the same frames.

Half of them are sound around content that is spoiled: else nothing behind the frames would be reached.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from attrs import define
from ormsgpack import packb

from tests.fuzz import seeds
from tests.fuzz.mutations import mutated
from tests.net import raw
from tests.wire.client_frames import WRONG, ClientFrame, close, fragmented, ping, pong

MOST_BYTES = 1_048_576
"""What a message may have by default."""

HEAVY_ONE_IN = 250
"""Of so many frames with spoiled content about one is made of something heavy, if heavy ones are wanted."""

LIES = (1, -1, 2, 64, 125, 65_535, 2**20, 2**20 + 1, 2**31, 2**63)
"""By how much a length may be wrong."""


EVENTS: Sequence[dict[str, Any]] = (
    {"topic": "task.progress", "payload": {"taskId": "t", "phase": "impl", "progress": 1, "message": "é 😀"}},
    {
        "topic": "task.completed",
        "payload": {"taskId": "t", "status": "failed", "duration": 1, "artifacts": []},
    },
    {"topic": "agent.output", "payload": {"taskId": "t", "agentId": "a", "type": "stdout", "content": "é\n"}},
)
CALLS: Sequence[tuple[str, str, Any]] = (
    *(("mutation", "events.publish", event) for event in EVENTS),
    ("mutation", "events.publishMany", {"events": [{**event, "idempotencyKey": "k"} for event in EVENTS]}),
    ("query", "events.history", {"topics": ["task.*", "**"], "key": "t", "limit": 10}),
    ("mutation", "state.set", {"key": "a.b", "value": {"deep": [1, None, True, 1.5]}}),
    ("mutation", "state.set", {"key": "a", "value": 1, "ifRevision": 0, "idempotencyKey": "k"}),
    ("mutation", "state.delete", {"key": "a"}),
    ("query", "state.list", {"prefix": "a"}),
    ("query", "workers.list", None),
    ("mutation", "workers.send", {"workerId": "w", "kind": "k", "payload": {"a": [1]}}),
    ("query", "hub.info", None),
    ("subscription", "workers.attend", {"workerId": "w", "capabilities": ["x"], "metadata": {"a": 1}}),
    ("subscription", "stream.onEvent", {"topics": ["task.*"], "key": "t", "replay": "all", "maxRate": 2.5}),
    ("subscription", "tracked.onEvent", {"topics": ["**"], "replay": "all"}),
    ("subscription", "stream.onTaskProgress", {"taskId": "t", "replay": "last"}),
    ("subscription", "state.onChange", {"prefix": "a", "replay": "last"}),
    ("subscription.stop", "", None),
)
"""What the hub's own procedures and channels are asked for."""


@cache
def contents() -> Sequence[tuple[int, bytes]]:
    """What clients say in a frame, with its opcode."""
    calls: list[dict[str, Any]] = [
        {"id": number % 5, "method": kind, "params": {"path": path, "input": given}}
        for number, (kind, path, given) in enumerate(CALLS)
    ]
    own = [json.dumps(call, ensure_ascii=False).encode() for call in calls]
    texts = [*own * 3, *seeds.texts(), *seeds.superjsons(), b"PING", b"PONG"]
    return [
        *((raw.TEXT, text) for text in texts),
        *((raw.BINARY, binary) for binary in [*map(packb, calls * 3), *seeds.packed()]),
    ]


@cache
def heavy() -> Sequence[bytes]:
    """Texts that give much work, of a tenth to a third of a megabyte; one of letters alone is longer."""
    calls = [{"id": number, "method": "query", "params": {"path": "hub.health"}} for number in range(5000)]
    artifacts = {**EVENTS[1], "payload": {**EVENTS[1]["payload"], "artifacts": [{"name": "a"}] * 10_000}}
    return [
        json.dumps(calls).encode(),
        _call("mutation", "events.publishMany", {"events": [*EVENTS] * 1000}),
        _call("mutation", "events.publishMany", {"events": [{}] * 100_000}),
        _call("mutation", "events.publish", artifacts),
        _call("query", "events.history", {"topics": ["a.*"] * 60_000}),
        b'{"id":1,"method":"query","params":{"path":"hub.health","input":' + b"[" * 400_000,
        b'"' + "é".encode() * 400_000 + b'"',
    ]


def _call(kind: str, path: str, given: Any) -> bytes:
    call = {"id": 1, "method": kind, "params": {"path": path, "input": given}}
    return json.dumps(call, ensure_ascii=False).encode()


@cache
def frames() -> Sequence[bytes]:
    """Frames that are in order, and messages in several."""
    whole = [ClientFrame(content, opcode) for opcode, content in contents()]
    control = [ping(), ping(b"p" * 125), pong(b"p"), close(), close(1000, "bye"), close(4999)]
    torn = [b"".join(map(bytes, fragmented(content, 3, 20))) for content in seeds.texts()[-5:]]
    return [*map(bytes, (*whole, *control)), *torn]


def spoiled(random: Random, *, with_heavy: bool = False) -> bytes:
    """A frame with something wrong in it, or around it."""
    kind = random.randrange(8)
    if kind < 4:
        return within(random, with_heavy=with_heavy)
    if kind < 6:
        return mutated(random, frames(), MOST_BYTES)
    opcode, content = random.choice(contents())
    if kind == 6:
        return bytes(random.choice(list(WRONG.values()))(ClientFrame(content, opcode)))
    return lying(random, opcode, content)


def within(random: Random, *, with_heavy: bool = False) -> bytes:
    """A sound frame whose content is spoiled; text is mostly left text."""
    if with_heavy and random.randrange(HEAVY_ONE_IN) == 0:
        opcode, whole = raw.TEXT, heavy()
    else:
        opcode, content = random.choice(contents())
        whole = (content, content, content, random.choice(contents())[1])
    data = mutated(random, whole, MOST_BYTES)
    if opcode == raw.TEXT and random.randrange(16):
        data = data.decode(errors="replace").encode()
    return raw.frame(opcode, data)


def lying(random: Random, opcode: int, content: bytes) -> bytes:
    """A frame that says that it is longer, or shorter, than it is."""
    claimed = min(max(0, len(content) + random.choice(LIES)), 2**64 - 1)
    if claimed < 126:
        length = bytes((0x80 | claimed,))
    elif claimed < 65_536:
        length = struct.pack("!BH", 0x80 | 126, claimed)
    else:
        length = struct.pack("!BQ", 0x80 | 127, claimed)
    return bytes((0x80 | opcode,)) + length + bytes(4) + content


@define
class Borders:
    """Where the frames of a stream end, as their headers have it."""

    _begun: bytes = b""
    _awaited: int = 0

    @property
    def is_here(self) -> bool:
        """Whether the stream has come to the end of a frame."""
        return not self._begun and not self._awaited

    def add(self, data: bytes) -> None:
        """The stream goes on."""
        skipped = min(self._awaited, len(data))
        self._awaited -= skipped
        data, at = self._begun + data[skipped:], 0
        self._begun = b""
        while at < len(data):
            end = frame_end(data, at)
            if end is None:
                self._begun = data[at:]
                return
            self._awaited, at = max(0, end - len(data)), end


def frame_end(data: bytes, at: int) -> int | None:
    """Where the frame at `at` ends; None if not all of its header is here."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1] & 0x7F, at + 2
    if length >= 126:
        start += 2 if length == 126 else 8
        length = int.from_bytes(data[at + 2 : start], "big")
    start += 4 if data[at + 1] & 0x80 else 0
    return None if len(data) < start else start + length
