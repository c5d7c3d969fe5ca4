"""A playbook puts a script on stage: peer lines are fed to a `Conversation`, hub lines are drawn out of it.

    > {"id":1,"method":"subscription.stop"}
    < {"id":1,"result":{"type":"stopped"}}

Only the peer's lines are spoken as written. Of a hub line no more is taken than *what* is said: what the
conversation answers of itself, or else which verb the hub would use, with what payload or error. The words
are adohub's own, so a play can be laid beside its script and must read the same.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from difflib import ndiff
from typing import Any

from adohub.errors import PeerError
from adohub.model import Event, Position
from adohub.notes import gathered, to_bytes
from adohub.wire.conversation import Answer, Authenticate, Cancel, Conversation, LedgerError, Step
from adohub.wire.dialect import PLAIN, TextFrames, Transformer
from adohub.wire.encode import View, data_prefix, encode, error_shape, failure, json_bytes
from adohub.wire.messages import (
    ABSENT,
    Data,
    Failure,
    Outgoing,
    Ping,
    Reconnect,
    Request,
    RequestId,
    Stopped,
    Tag,
)
from tests.transcripts.golden_files import Line

UNTRACKED = "event-id"
"""The id we give to an event that the recorded server sent without one: ours all have one."""

_OUR_TEXTS = {
    "Not an object",
    "Invalid procedure type",
    "Invalid string",
    "Invalid request id",
    "Must be JSONRPC 2.0",
    "`id` is required",
    "Malformed TRPCConnectionParamsMessage",
    "Invalid connection params shape",
}
"""What the protocol itself says under id null; any other text there is a parser's."""


class Speechless(Exception):
    """There is nothing in the conversation that could lead to this line."""


class RecordedPosition(Position):
    """A position that goes by the id it had when it was recorded."""

    def __str__(self) -> str:
        return self.epoch


def play(
    lines: Iterable[Line], *, expects_params: bool = False, transformer: Transformer = PLAIN
) -> list[Line]:
    """What is said when the peer speaks its lines of this script and adohub answers."""
    conversation = Conversation(expects_params=expects_params, max_subscriptions=256)
    return list(_Stage(list(lines), conversation, transformer).play())


def rehearse(
    lines: Sequence[Line], *, expects_params: bool = False, transformer: Transformer = PLAIN
) -> None:
    """Assert that the play reads like its script; else show both as a diff."""
    written = _read(lines)
    spoken = _read(play(lines, expects_params=expects_params, transformer=transformer))
    assert written == spoken, "\n".join(["the script (-) and the play (+) differ:", *ndiff(written, spoken)])


class _Stage:
    """One play: the script still ahead, and what the hub has to know of the requests it was given."""

    def __init__(self, lines: Sequence[Line], conversation: Conversation, transformer: Transformer) -> None:
        self._transformer = transformer
        self._ahead = deque(lines)
        self._conversation = conversation
        self._answers: deque[bytes] = deque()
        self._calls: list[Request] = []
        self._subscriptions: dict[RequestId, Request] = {}
        self._live: set[RequestId] = set()
        self._cancelled: list[Tag] = []

    def play(self) -> Iterator[Line]:
        while self._ahead:
            line = self._ahead.popleft()
            if line.speaker == ">":
                yield line
                for step in self._conversation.receive(line.content):
                    self._take(step)
            else:
                yield Line("<", self._say(line))
        for answer in self._answers:
            yield Line("<", answer.decode())

    # ── the peer's lines ─────────────────────────────────────────────────────────────────────────────

    def _take(self, step: Step) -> None:
        match step:
            case Answer(message):
                self._answers.append(self._encode(message))
            case Authenticate(_):
                self._judge()
            case Request(tag, "subscription"):
                self._subscriptions[_id_of(tag)] = step
            case Request():
                self._calls.append(step)
            case Cancel(tag):
                self._forget(tag)
                self._cancelled.append(tag)

    def _judge(self) -> None:
        """The hub has read ahead: it refuses the peer if the script says so."""
        error = next((frame["error"] for frame in self._hub_frames_ahead() if frame.get("error")), None)
        if error is None:
            self._conversation.accepted()
        else:
            answers = self._conversation.refused(self._peer_error(error))
            self._answers.extend(self._encode(answer.message) for answer in answers)

    def _encode(self, message: Outgoing) -> bytes:
        if isinstance(message, Failure):
            return failure(message.tag, self._transformer.value(error_shape(message)))
        return encode(message)

    def _hub_frames_ahead(self) -> Iterator[dict[str, Any]]:
        contents = (line.content for line in self._ahead if line.speaker == "<")
        frames = (json.loads(content) for content in contents if content[:1] == "{")
        return (frame for frame in frames if frame["id"] is None)

    # ── the hub's lines ──────────────────────────────────────────────────────────────────────────────

    def _say(self, line: Line) -> str:
        if not self._answers:
            try:
                self._answers.extend(self._words(line))
            except (Speechless, LedgerError) as reason:
                return f"(nothing: {reason})"
        return self._answers.popleft().decode()

    def _words(self, line: Line) -> list[bytes]:
        if line.content == "PING":
            return [encode(Ping())]
        frame = json.loads(line.content)
        if frame.get("method") == "reconnect":
            return [encode(Reconnect())]
        if "error" in frame:
            return self._fail(frame)
        result = frame["result"]
        match result["type"]:
            case "started":
                return [self._start(frame)]
            case "stopped":
                return [encode(self._stop(frame))]
            case _:
                return [self._data(frame, result)]

    def _start(self, frame: dict[str, Any]) -> bytes:
        tag = self._subscription(frame).tag
        self._live.add(_id_of(tag))
        return encode(self._conversation.started(tag))

    def _data(self, frame: dict[str, Any], result: dict[str, Any]) -> bytes:
        call = self._answered_call(frame)
        value = result.get("data", ABSENT)
        if call is not None:
            read = value if value is ABSENT else self._transformer.read(value)
            body = None if value is ABSENT else json_bytes(value)
            return encode(Data(call.tag, body if read is ABSENT else self._transformer.value(read)))
        tag = self._subscription(frame).tag
        if tag.id not in self._live:
            raise Speechless(f"subscription {tag.id!r} has not been started")
        event_id = result.get("id", UNTRACKED)
        shown = self._transformer.read(value)
        is_tracked = isinstance(shown, dict) and shown.keys() == {"id", "data"} and shown["id"] == event_id
        payload = shown["data"] if is_tracked else shown
        is_undefined = payload is ABSENT
        body, notes = json_bytes(None if is_undefined else payload), gathered(payload)
        if is_undefined:
            notes = (((), "undefined"),)
        event = Event(RecordedPosition(event_id, 0), "a.b", None, body, "", to_bytes(notes))
        return data_prefix(tag) + TextFrames(self._transformer).body(event, View(tracked=is_tracked))

    def _stop(self, frame: dict[str, Any]) -> Stopped:
        for tag in self._cancelled:
            if tag.id == frame["id"]:
                self._cancelled.remove(tag)
                return Stopped(tag)
        tag = self._subscription(frame).tag
        self._forget(tag)
        return self._conversation.finished(tag)

    def _fail(self, frame: dict[str, Any]) -> list[bytes]:
        shape = self._transformer.read(frame["error"])
        error = self._peer_error(frame["error"])
        path = shape["data"].get("path")
        call = self._answered_call(frame)
        if call is not None:
            return [self._encode(Failure(call.tag, error.code, error.message, path, error.data))]
        request = self._subscription(frame)
        self._forget(request.tag)
        failed = self._conversation.failed(request.tag, error, request.path)
        return [self._encode(message) for message in failed]

    def _peer_error(self, error: Any) -> PeerError:
        """The error a hub would raise to have this one said."""
        shape = self._transformer.read(error)
        more = {
            name: value for name, value in shape["data"].items() if name not in ("code", "httpStatus", "path")
        }
        return PeerError(shape["data"]["code"], shape["message"], data=more)

    def _answered_call(self, frame: dict[str, Any]) -> Request | None:
        for call in self._calls:
            if call.tag.id == frame["id"]:
                self._calls.remove(call)
                return call
        return None

    def _subscription(self, frame: dict[str, Any]) -> Request:
        try:
            return self._subscriptions[frame["id"]]
        except KeyError:
            raise Speechless(f"no request {frame['id']!r} is waiting for this") from None

    def _forget(self, tag: Tag) -> None:
        del self._subscriptions[_id_of(tag)]
        self._live.discard(_id_of(tag))


def _id_of(tag: Tag) -> RequestId:
    assert tag.id is not None
    return tag.id


def _read(lines: Iterable[Line]) -> list[str]:
    """`lines` so that what means the same reads the same."""
    return [f"< {_normal(line.content)}" if line.speaker == "<" else str(line) for line in lines]


def _normal(content: str | bytes) -> str:
    """A hub frame with keys sorted, a parser's words masked and the id of an untracked event left out."""
    if isinstance(content, bytes) or not content.startswith("{"):
        return str(content)
    frame = json.loads(content)
    error, result = frame.get("error"), frame.get("result")
    if error and frame["id"] is None and error["code"] == -32700 and error["message"] not in _OUR_TEXTS:
        error["message"] = "…"
    if result and result.get("id") == UNTRACKED:
        del result["id"]
    return json.dumps(frame, sort_keys=True, ensure_ascii=False)
