"""The hub's readers as functions of bytes: each returns if what it made of them is an answer, else it raises.

What may be raised inside is caught here by its own type and nothing wider, so whatever gets out is a fault of
the hub's. None of them does any I/O but `toml`, which reads a file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from attrs import frozen

from adohub.config import Config
from adohub.config.loading import load as load_config
from adohub.errors import ConfigError, PeerError
from adohub.hub.admission import Entrance, entrances
from adohub.hub.intake import Intake
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.model import Position, Principal
from adohub.net.body import read_body
from adohub.net.head import Head, HeadRefused, credentials, parsed, plain_head
from adohub.net.listener import Peer
from adohub.net.outbox import Outbox
from adohub.net.stream import STREAM
from adohub.net.upgrade import check_upgrade, websocket_key
from adohub.notes import gathered
from adohub.plugin.contracts import PublishRequest
from adohub.plugin.loader import load as load_plugins
from adohub.structuring import StructureError, wire
from adohub.wire import http
from adohub.wire.codes import CODES
from adohub.wire.conversation import Answer, Authenticate, Cancel, Conversation
from adohub.wire.decode import DEFAULT_LIMITS, Malformed, parse_json
from adohub.wire.dialect import Dialect, Transformer
from adohub.wire.dialects import Dialects, every_choice
from adohub.wire.encode import json_bytes
from adohub.wire.frame import is_close_code
from adohub.wire.http import Letter
from adohub.wire.messages import ABSENT, Failure, Outgoing, Request, Stopped
from adohub.wire.noting import Noting
from adohub.wire.packed import pack, unpack
from adohub.wire.websocket import accept_response
from tests.fuzz import seeds
from tests.wire.client_frames import octets
from tests.wire.oracle import by_every_route, heard

MESSAGE_BYTES = 8192
"""How long a message may be."""

SUBSCRIPTIONS = 4
"""How many a connection may have open."""

T = TypeVar("T")

ANYBODY = Principal("anybody", roles=[ALL_RIGHTS])


@frozen
class Target:
    """`read` must return for any bytes; `seeds` gives some that are in order, or nearly so."""

    read: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


# ── a hub without sockets ────────────────────────────────────────────────────────────────────────────────


@frozen
class Readers:
    """All that a hub with its built-in plugins reads inputs with."""

    inputs: dict[str, Callable[[Any], Any]]
    entrances: dict[str, Entrance]
    intake: Intake
    policy: Policy
    choice: Sequence[Dialects]


@cache
def readers() -> Readers:
    registry = load_plugins(Config())
    return Readers(
        {path: wire.compile(one.input) for path, one in registry.procedures.items() if one.input is not None},
        dict(entrances(registry.subscriptions)),
        Intake(registry.topics, allow_undeclared=True, endings=registry.endings),
        Policy({}, registry.authorizers, registry.topics),
        list(every_choice(Noting(registry.payload_marks()), "none").offered.values()),
    )


def kind_of(path: str) -> Any:
    if path in readers().entrances:
        return "subscription"
    return {"hub.health": "query", "events.history": "query"}.get(path, "mutation" if "." in path else None)


def take(request: Request, values: Transformer | Dialect) -> None:
    """Read what a request asks for as far as that can be done without storage. Raises PeerError."""
    known = readers()
    if request.last_event_id is not None:
        Position.parse(request.last_event_id)
    if request.path in known.entrances:
        known.entrances[request.path].admit(request, ANYBODY, known.policy, cast("Dialect", values))
        return
    given = values.read(request.input)
    read = known.inputs.get(request.path)
    if read is not None:
        try:
            taken = read(given)
        except StructureError as error:
            raise PeerError("BAD_REQUEST", str(error)) from error
        for published in getattr(taken, "events", [taken]):
            if isinstance(published, PublishRequest):
                draft = known.intake.draft(published, ANYBODY.name)
                assert isinstance(orjson.loads(draft.body), dict)


def converse(messages: Iterable[str | bytes], dialects: Dialects, *, expects_params: bool) -> None:
    """Have a conversation of these messages, and see that all that is said in it can be sent."""
    talk = Conversation(expects_params=expects_params, max_subscriptions=SUBSCRIPTIONS)
    for message in messages:
        for step in talk.receive(message):
            dialect = dialects.binary if talk.is_binary else dialects.frames
            match step:
                case Answer(answer):
                    say(answer, dialect)
                case Authenticate():
                    talk.accepted()
                case Cancel(tag):
                    say(Stopped(tag), dialect)
                case Request() as request:
                    try:
                        take(request, dialect)
                    except PeerError as error:
                        say(
                            Failure(request.tag, error.code, error.message, request.path, error.data), dialect
                        )
                        if request.kind == "subscription":
                            talk.failed(request.tag, error, request.path)
        assert talk.open_subscriptions <= SUBSCRIPTIONS


def say(message: Outgoing, dialect: Dialect) -> None:
    """Fails unless a client can read `message`."""
    if isinstance(message, Failure):
        assert message.code in CODES
        assert message.code != "INTERNAL_SERVER_ERROR"
    frame = dialect.message(message)
    length, start = frame[1], 2
    if length >= 126:
        start = 4 if length == 126 else 10
        length = int.from_bytes(frame[2:start], "big")
    payload = frame[start:]
    assert len(payload) == length
    if frame[0] == 0x81:
        assert payload in (b"PING", b"PONG") or orjson.loads(payload) is not None
    else:
        assert frame[0] == 0x82
        unpack(payload)


# ── targets ──────────────────────────────────────────────────────────────────────────────────────────────


def frames(data: bytes) -> None:
    """What a WebSocket sends: the same messages, and the same fault, however it is cut and read."""
    whole = heard(data, limit=MESSAGE_BYTES)
    for route in by_every_route([data], limit=MESSAGE_BYTES):
        assert route == whole
    if len(data) <= 1024:
        assert heard(*octets(data), limit=MESSAGE_BYTES) == whole
    assert whole.fault is None or is_close_code(whole.fault)
    messages = [one for one in whole.incoming if isinstance(one, str | bytes)]
    converse(messages, readers().choice[0], expects_params=len(data) % 2 == 1)


def json(data: bytes) -> None:
    """A text message, with either transformer, first and later in a conversation."""
    text = data.decode(errors="replace")
    for dialects in readers().choice:
        converse([text, text], dialects, expects_params=False)
        converse([text, text], dialects, expects_params=True)


def messagepack(data: bytes) -> None:
    """A binary message, likewise; what is read of it can be written."""
    for dialects in readers().choice:
        converse([data, data], dialects, expects_params=False)
        converse([data, data], dialects, expects_params=True)
    with suppress(Malformed):
        value = unpack(data)
        if value is ABSENT:
            return
        orjson.loads(json_bytes(value))
        unpack(pack(orjson.loads(json_bytes(value)), gathered(value)))


def superjson(data: bytes) -> None:
    """An input in superjson: what is read of it can be written, and be read again."""
    (transformer,) = (one.transformer for one in readers().choice[1:])
    with suppress(PeerError):
        value = transformer.read(parse_json(data))
        if value is not ABSENT:
            transformer.read(orjson.loads(transformer.value(value)))


def requests(data: bytes) -> None:
    """An HTTP request: its head is read in one way, or refused; so are its body, its query and its calls."""
    plain = refused_or(lambda: plain_head(data))
    head = refused_or(lambda: parsed(data)) if b"\r\n\r\n" in data else None
    if plain is not None:
        assert head == plain
    if head is None:
        return
    credentials(head, Peer("192.0.2.1"))
    with suppress(HeadRefused):
        check_upgrade(head)
        accept_response(websocket_key(head))
    body = refused_or(lambda: finished(read_body(cast("Outbox", Silence()), head, MESSAGE_BYTES)))
    letter = Letter(
        head.method, head.path.removeprefix("/trpc/"), head.query, head.headers, body[0] if body else b""
    )
    read_letter(letter)


def letters(data: bytes) -> None:
    """What is asked for over HTTP: the first line is an address, the rest a body; by GET, and by POST."""
    address, _, body = data.partition(b"\n")
    path, _, query = address.decode("latin-1").partition("?")
    head = Head("GET", path, query, {}, "1.1")
    for method in ("GET", "POST"):
        for headers in ({}, {"trpc-accept": "application/jsonl"}, {"trpc-batch-mode": "stream"}):
            read_letter(Letter(method, path, head.query, headers, body))


def read_letter(letter: Letter) -> None:
    """Read whatever a letter asks for, and write whatever refusals there are."""
    bodies = readers().choice[0].bodies
    for part in (http.check_content, http.read_params, http.plain_path):
        with suppress(PeerError):
            part(letter)
    try:
        asked = http.read(letter, kind_of)
    except PeerError as error:
        orjson.loads(bodies.answer(Failure(STREAM, error.code, error.message)))
        return
    assert len(asked.calls) <= DEFAULT_LIMITS.max_batch_length
    for call in asked.calls:
        if isinstance(call, Failure):
            orjson.loads(bodies.answer(call))
            continue
        with suppress(PeerError):
            take(call, cast("Transformer", bodies))


def toml(data: bytes) -> None:
    """A configuration: it is one, or every problem with it is told by file and key."""
    error = problems_with(data)
    if error is not None:
        assert error.problems
        assert all(problem.source and problem.message for problem in error.problems)
        str(error).encode()


def problems_with(data: bytes) -> ConfigError | None:
    """What is wrong with a configuration file that says `data`."""
    path = _workshop() / "adohub.toml"
    path.write_bytes(data)
    try:
        load_config(path, {})
    except ConfigError as error:
        return error
    return None


TARGETS = {
    "frames": Target(frames, seeds.frames),
    "json": Target(json, seeds.texts),
    "messagepack": Target(messagepack, seeds.packed),
    "superjson": Target(superjson, seeds.superjsons),
    "requests": Target(requests, seeds.requests),
    "letters": Target(letters, seeds.letters),
    "toml": Target(toml, seeds.tomls),
}


# ── their tools ──────────────────────────────────────────────────────────────────────────────────────────


def refused_or(read: Callable[[], T]) -> T | None:
    """What `read` gives, None if it refuses."""
    try:
        return read()
    except HeadRefused:
        return None


class Silence:
    """An outbox whose peer has said all that it will say: the rest of a body never comes."""

    def __init__(self) -> None:
        self._unread = b""

    def unread(self, data: bytes) -> None:
        self._unread = data + self._unread

    def take_unread(self) -> bytes:
        data, self._unread = self._unread, b""
        return data

    async def receive_some(self, max_bytes: int = 65_536) -> bytes:
        data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
        return data


def finished(running: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing."""
    try:
        running.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("it waits")


@cache
def _workshop() -> Path:
    """A folder for one process."""
    return Path(tempfile.mkdtemp(prefix="adohub-fuzz-"))
