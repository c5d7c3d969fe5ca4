"""Every recorded request over HTTP is asked for and answered as it was recorded, but for what is listed here.

What a procedure gave is taken from the record; that it was asked, and all that is said without it, is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import frozen

from adohub.errors import PeerError
from adohub.wire.codes import CODES
from adohub.wire.dialect import PLAIN
from adohub.wire.http import Bodies, Letter, allow, check_content, read, read_params, status
from adohub.wire.jsonl import JsonLines, Lines, V10Lines
from adohub.wire.messages import ABSENT, Data, Failure, ProcedureKind, Request, Tag
from adohub.wire.noting import Noting
from adohub.wire.superjson import UNDEFINED as UNDEFINED_IN_SUPERJSON
from adohub.wire.superjson import Superjson
from tests.transcripts.golden_files import GOLDEN, recorded

KINDS: dict[str, ProcedureKind] = {
    "hub.health": "query",
    "events.publish": "mutation",
    "stream.onSystemEvent": "subscription",
}
"""What the recorded servers offered of what these transcripts ask for."""

PLAINLY, BY_SUPERJSON = Bodies(PLAIN), Bodies(Superjson(Noting({})))

DIFFERENT = {
    ("v11/http-raw", 1): "answered before tRPC looks at it: HEAD",
    ("v11/http-raw", 13): "that server allowed two calls in a batch, adohub allows max_batch_length",
    ("v11.18/http-raw", 1): "answered before tRPC looks at it: HEAD",
    ("v11.18/http-raw", 13): "that server allowed two calls in a batch, adohub allows max_batch_length",
    ("v11.18/http-raw", 14): "a bad escape is the client's fault, as in 11.25",
    ("v11/http-batching-disabled", 1): "adohub always takes batches",
    ("v11/http-batching-disabled", 2): "adohub always takes batches",
    ("v11/http-method-override", 1): "adohub allows no method override",
    ("v11/http-method-override", 2): "adohub allows no method override",
    ("v10/v10-client-on-v11-server-http", 5): "adohub speaks version 10's streams, @trpc/server 11 does not",
    **{("v10/v10-http", number): "said in the words of version 11" for number in (3, 4, 5, 6)},
    ("v10/v10-http-batch-stream", 1): "said in the words of version 11",
    ("v10/v10-http-superjson", 1): "said in the words of version 11",
}
"""By transcript and request why adohub answers differently."""

LINES_OF_SUPERJSON = ("v11/http-superjson", 5)
"""Each promise on a line of its own there, and all on one here: `tests/wire/test_jsonl.py` has ours."""


@frozen
class Recorded:
    """One request and what came back: status, headers and the whole body as text."""

    transcript: str
    number: int
    letter: Letter
    status: int
    allow: str | None
    body: str

    def __str__(self) -> str:
        return f"{self.transcript}-{self.number}"

    @property
    def bodies(self) -> Bodies:
        return BY_SUPERJSON if "superjson" in self.transcript else PLAINLY


def requests() -> Iterator[Recorded]:
    for folder in ("v11", "v11.18", "v10"):
        for transcript in recorded(GOLDEN / folder):
            if "http" in transcript.name:
                frames = transcript.document["frames"]
                for number in dict.fromkeys(frame["req"] for frame in frames if "req" in frame):
                    if (transcript.name, number) == LINES_OF_SUPERJSON:
                        continue
                    yield _recorded(transcript.name, [one for one in frames if one.get("req") == number])


def _recorded(name: str, frames: list[dict[str, Any]]) -> Recorded:
    asked, answered = frames[0]["data"], frames[1]["data"]
    url = urlsplit(asked["url"])
    query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
    body = asked.get("body", "")
    letter = Letter(
        asked["method"],
        url.path.removeprefix("/"),
        query,
        asked["headers"],
        (body if isinstance(body, str) else json.dumps(body)).encode(),
    )
    if "stream" in answered:
        text = "".join(frame["data"] for frame in frames if frame["kind"] == "http-chunk")
    else:
        text = json.dumps(answered.get("body"))
    return Recorded(
        name, frames[0]["req"], letter, answered["status"], answered["headers"].get("allow"), text
    )


REQUESTS = list(requests())


def answer(one: Recorded) -> tuple[int, str | None, str]:
    """Status, `Allow` and body, as adohub makes them."""
    try:
        check_content(one.letter)
        read_params(one.letter)
        asked = read(one.letter, KINDS.get)
    except PeerError as error:
        refused = Failure(Tag(None), error.code, error.message)
        return CODES[error.code].http_status, None, one.bodies.answer(refused).decode()
    given = results(one)
    answers = [call if isinstance(call, Failure) else played(call, given, one.bodies) for call in asked.calls]
    if asked.form in ("jsonl", "v10-stream"):
        lines: Lines = JsonLines(PLAIN) if asked.form == "jsonl" else V10Lines(one.bodies)
        written = [lines.line(number, one) for number, one in enumerate(answers)]
        return 200, None, b"".join([lines.head(len(answers)), *written, lines.end]).decode()
    body = one.bodies.array(answers) if asked.form == "batch" else one.bodies.answer(answers[0])
    return status(answers), allow(answers, KINDS.get), body.decode()


def played(call: Request, given: list[Any], bodies: Bodies) -> Data | Failure:
    """What the recorded server's procedure said, after the input has been read."""
    try:
        bodies.read(call.input)
    except PeerError as error:
        if call.path != "hub.health":  # which reads none
            return Failure(call.tag, error.code, error.message, call.path)
    assert isinstance(call.tag.id, int)
    said = given[call.tag.id]
    if "error" in said:
        shape = bodies.transformer.read(said["error"])
        return Failure(call.tag, shape["data"]["code"], shape["message"], call.path)
    if "data" not in said["result"]:
        return Data(call.tag, None)
    value = bodies.transformer.read(said["result"]["data"])
    return Data(call.tag, UNDEFINED_IN_SUPERJSON if value is ABSENT else bodies.value(value))


def results(one: Recorded) -> list[Any]:
    """What was answered to each call."""
    if one.letter.headers.get("trpc-accept") == "application/jsonl" and one.status == 200:
        return unfolded(one.body)
    value = json.loads(one.body)
    if one.letter.headers.get("trpc-batch-mode") == "stream" and isinstance(value, dict):
        return [value[str(number)] for number in range(len(value))]
    return value if isinstance(value, list) else [value]


def unfolded(text: str) -> list[Any]:
    """What a client makes of JSON lines, in the end."""
    head, *lines = map(json.loads, text.splitlines())
    kept = {number: value for number, status, value in lines if status == 0}

    def whole(encoded: list[Any]) -> Any:
        [value, *promises] = encoded
        shown: Any = value[0] if value else UNDEFINED
        for key, kind, number in promises:
            assert kind == 0
            if key is None:
                shown = whole(kept[number])
            elif (found := whole(kept[number])) is UNDEFINED:
                del shown[key]
            else:
                shown[key] = found
        return shown

    return [whole(head[str(number)]) for number in range(len(head))]


UNDEFINED = object()

PARSERS = ("JSON at position", "JSON input", "(char ")
"""By what a parser's words are known."""


def said(one: Recorded, body: str) -> Any:
    """A body as its reader understands it; a parser's own words are not compared."""
    if one.letter.headers.get("trpc-accept") == "application/jsonl" and one.status == 200:
        return unfolded(body)
    value = json.loads(body)
    if isinstance(value, dict) and "message" in value.get("error", {}):
        message = value["error"]["message"]
        value["error"]["message"] = "unreadable" if any(word in message for word in PARSERS) else message
    return value


@pytest.mark.parametrize("one", REQUESTS, ids=str)
def test_a_recorded_request_is_answered_as_it_was(one: Recorded) -> None:
    http_status, allowed, body = answer(one)
    is_newest = one.transcript.startswith("v11/")  # the others say no `Allow`
    theirs = (one.status, one.allow if is_newest else allowed, said(one, one.body))
    try:
        ours: Any = (http_status, allowed, said(one, body))
    except json.JSONDecodeError:
        ours = (http_status, allowed, body)
    if (one.transcript, one.number) in DIFFERENT:
        assert ours != theirs
    else:
        assert ours == theirs


def test_what_is_different_was_recorded() -> None:
    assert DIFFERENT.keys() <= {(one.transcript, one.number) for one in REQUESTS}
