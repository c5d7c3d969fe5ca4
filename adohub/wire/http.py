"""tRPC over HTTP without I/O: what a request asks for, and what its answers are as a body.

Source of shapes, statuses and texts: @trpc/server 11.25 (`getRequestInfo`, `resolveResponse`), and 10.45 for
what its `unstable_httpBatchStreamLink` reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

from attrs import frozen

from adohub.config import Limits
from adohub.errors import OverLimit, PeerError
from adohub.structuring import Marks
from adohub.wire.codes import CODES
from adohub.wire.decode import DEFAULT_LIMITS, Malformed, check_id, parse_json
from adohub.wire.depth import check_depth, may_be_deep
from adohub.wire.dialect import Transformer
from adohub.wire.encode import error_shape
from adohub.wire.messages import ABSENT, Data, Failure, ProcedureKind, Request, Tag

MULTI_STATUS = 207

METHODS: Mapping[ProcedureKind, str] = {"query": "GET", "mutation": "POST", "subscription": "GET"}
"""How a procedure of each kind is called."""

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")

KindOf = Callable[[str], "ProcedureKind | None"]
"""Tells what kind of procedure is at a path, if there is one."""

Form = Literal["single", "batch", "jsonl", "v10-stream"]
"""How the answers go back: one alone, an array, or line by line as they come, in either of two ways."""


class Unreadable(NamedTuple):
    """An input that cannot be read; who does not look at its input is not told."""

    why: str


@frozen
class Asked:
    """What one request asks for: a call, or several at once; each is numbered by its tag."""

    calls: Sequence[Request | Failure]
    form: Form

    @property
    def subscription(self) -> Request | None:
        """The subscription that it asks for, if that is what it does."""
        match self.calls:
            case [Request(kind="subscription") as request]:
                return request
        return None


@frozen
class Letter:
    """A request, as far as tRPC looks at it. `path` is what follows the prefix, still percent-encoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


def check_content(letter: Letter) -> None:
    """Raises PeerError UNSUPPORTED_MEDIA_TYPE for a body that is not said to be JSON.

    In @trpc/server's text the closing quote is missing as well.
    """
    content_type = letter.headers.get("content-type")
    if letter.method == "GET" or (content_type or "").startswith("application/json"):
        return
    if content_type is None:
        raise PeerError("UNSUPPORTED_MEDIA_TYPE", "Missing content-type header")
    raise PeerError("UNSUPPORTED_MEDIA_TYPE", f'Unsupported content-type "{content_type[:200]}')


def read(letter: Letter, kind_of: KindOf, limits: Limits = DEFAULT_LIMITS) -> Asked:
    """What `letter` asks for. Raises PeerError for what is wrong with all of it."""
    form = _form(letter)
    paths = _paths(letter.path, limits, is_batch=form != "single")
    kinds = [kind_of(path) for path in paths]
    found = list(dict.fromkeys(kind for kind in kinds if kind is not None))
    if len(found) > 1:
        raise PeerError("BAD_REQUEST", f"Cannot mix procedure types in call: {', '.join(found)}")
    inputs = _inputs(letter, len(paths), limits, is_batch=form != "single")
    last_event_id = _last_event_id(letter, limits) if found == ["subscription"] else None
    calls = [
        _call(letter.method, Tag(number), path, kind, given, last_event_id, alone=form == "single")
        for number, (path, kind, given) in enumerate(zip(paths, kinds, inputs, strict=True))
    ]
    return Asked(calls, form)


def _form(letter: Letter) -> Form:
    is_batch = letter.query.get("batch") == "1"
    if letter.headers.get("trpc-accept") == "application/jsonl" or "application/jsonl" in letter.headers.get(
        "accept", ""
    ):
        if not is_batch:
            raise PeerError("BAD_REQUEST", "Streaming requests must be batched (you can do a batch of 1)")
        return "jsonl"
    if is_v10_stream(letter):
        return "v10-stream"
    return "batch" if is_batch else "single"


def is_v10_stream(letter: Letter) -> bool:
    """Whether version 10's `unstable_httpBatchStreamLink` has sent it."""
    return letter.query.get("batch") == "1" and letter.headers.get("trpc-batch-mode") == "stream"


def _paths(text: str, limits: Limits, *, is_batch: bool) -> Sequence[str]:
    path = _unquoted(text)
    if path is None:
        raise PeerError("BAD_REQUEST", f'Invalid URL-encoding in path "{text[:200]}"')
    if not is_batch:
        return [path]
    most = limits.max_batch_length
    if path.count(",") >= most:
        raise OverLimit("max_batch_length", "BAD_REQUEST", f"Batch call exceeds maximum size ({most})")
    return path.split(",")


def plain_path(letter: Letter) -> str:
    """The path that `letter` asks for, as far as it can be read."""
    return _unquoted(letter.path) or letter.path


def _unquoted(text: str) -> str | None:
    """`text` without its percent-encoding, None where JavaScript's `decodeURIComponent` would throw."""
    if _BAD_ESCAPE.search(text):
        return None
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return None


def _inputs(letter: Letter, count: int, limits: Limits, *, is_batch: bool) -> Sequence[Any]:
    text: str | bytes = letter.query.get("input", "") if letter.method == "GET" else letter.body
    try:
        value = parse_json(text) if text else ABSENT
    except Malformed as error:
        return [Unreadable(error.message)] * count
    most = limits.max_json_depth + is_batch
    if may_be_deep(text, most):
        check_depth(value, most)
    if not is_batch:
        return [value]
    if value is ABSENT:
        return [ABSENT] * count
    if not isinstance(value, dict):
        return [Unreadable('"input" needs to be an object when doing a batch call')] * count
    return [value.get(str(number), ABSENT) for number in range(count)]


def _last_event_id(letter: Letter, limits: Limits) -> str | None:
    """Where an EventSource, or somebody in its place, wants to go on. The header is the newest word on it."""
    query = letter.query
    said = letter.headers.get("last-event-id") or query.get("lastEventId") or query.get("Last-Event-Id")
    check_id(said or "", limits.max_id_bytes, "lastEventId")
    return said or None


def _call(
    method: str,
    tag: Tag,
    path: str,
    kind: ProcedureKind | None,
    given: Any,
    last_event_id: str | None,
    *,
    alone: bool,
) -> Request | Failure:
    if kind is None:
        return Failure(tag, "NOT_FOUND", f'No procedure found on path "{path}"', path)
    if kind == "subscription" and not alone:
        return Failure(tag, "BAD_REQUEST", "Cannot batch subscription calls", path)
    if METHODS[kind] != method:
        message = f'Unsupported {method}-request to {kind} procedure at path "{path}"'
        return Failure(tag, "METHOD_NOT_SUPPORTED", message, path)
    return Request(tag, kind, path, given, last_event_id)


def read_params(letter: Letter) -> Mapping[str, str] | None:
    """The `connectionParams` in the query, None without. Raises Malformed, PARSE_ERROR."""
    text = letter.query.get("connectionParams")
    if text is None:
        return None
    try:
        params = parse_json(text)
    except Malformed as error:
        raise Malformed("Not JSON-parsable query params") from error
    if params is None:
        return None
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise Malformed("Invalid connection params shape")
    return params


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Bodies:
    """How answers are written into bodies, and inputs read (`adohub.net.dispatch` calls it so)."""

    transformer: Transformer

    def read(self, value: Any) -> Any:
        """An input. Raises PeerError if it is none."""
        if isinstance(value, Unreadable):
            raise PeerError("BAD_REQUEST", value.why)
        return self.transformer.read(value)

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """See `Values`."""
        return self.transformer.value(value, marks)

    def answer(self, message: Data | Failure) -> bytes:
        """One answer."""
        if isinstance(message, Failure):
            return b'{"error":%b}' % self.transformer.value(error_shape(message))
        return b'{"result":{"data":%b}}' % message.body if message.body is not None else b'{"result":{}}'

    def array(self, answers: Iterable[Data | Failure]) -> bytes:
        """All answers of a batch, in the order of its calls."""
        return b"[%b]" % b",".join(map(self.answer, answers))


def status(answers: Sequence[Data | Failure]) -> int:
    """The one status of a whole response."""
    statuses = {CODES[one.code].http_status if isinstance(one, Failure) else 200 for one in answers}
    return statuses.pop() if len(statuses) == 1 else MULTI_STATUS


def allow(answers: Sequence[Data | Failure], kind_of: KindOf) -> str | None:
    """What an `Allow` header says of calls that came by the wrong method."""
    kinds = [
        kind_of(one.path or "")
        for one in answers
        if isinstance(one, Failure) and one.code == "METHOD_NOT_SUPPORTED"
    ]
    return next((METHODS[kind] for kind in kinds if kind is not None), None)
