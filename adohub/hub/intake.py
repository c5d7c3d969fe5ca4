"""The only place a draft is made: a payload is checked against its topic, keyed, dated and encoded, once.

A typed part of a payload needs no notes: its type says what it is. Of what may be anything they are kept.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import orjson
from attrs import frozen

from adohub.config import Limits
from adohub.errors import OverLimit, PeerError
from adohub.model import EXISTS, Draft, from_fields, now, timestamp
from adohub.notes import NOTED, TooRich, noted_text, notes_of, spelled, to_bytes
from adohub.plugin.contracts import Change, PublishRequest, Topic
from adohub.structuring import Marks, StructureError, did_you_mean, wire
from adohub.topics import is_topic
from adohub.wire.decode import DEFAULT_LIMITS, check_id
from adohub.wire.encode import json_bytes

MOST_STEPS_KEPT = 4_000
"""How many steps the paths of an event's notes may have together: each takes time whenever it is read."""


@frozen
class _Form:
    """How one topic's payloads are read: attrs instance or mapping in, wire form out."""

    topic: Topic
    recognises: Callable[[object], bool]
    structure: Callable[[object], Any]
    write: Callable[[Any], Mapping[str, Any]]
    marks: Marks
    is_dated: bool
    """Whether the payload's `timestamp` is the event's."""
    ends: tuple[str, ...] = ()

    def wire_form(self, payload: Any) -> Mapping[str, Any]:
        """The payload as the wire shows it. Raises StructureError."""
        type_ = self.topic.type
        is_instance = type_ is not None and isinstance(payload, type_)
        return self.write(payload if is_instance else self.structure(payload))


_draft = from_fields(Draft)


class Intake:
    """Makes drafts for the declared topics. `allow_undeclared`: any other topic takes any JSON object.

    `endings`: by topic, of which topics an event of it is the end, for its key.
    """

    def __init__(
        self,
        topics: Mapping[str, Topic],
        *,
        allow_undeclared: bool,
        endings: Mapping[str, Sequence[str]] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self._allow_undeclared = allow_undeclared
        endings = endings or {}
        forms = {name: _form(topic, endings.get(name, ())) for name, topic in topics.items()}
        self._forms = {name: form for name, form in forms.items() if not form.topic.state_keys}
        self._state_forms = {name: form for name, form in forms.items() if form.topic.state_keys}

    def draft(self, request: PublishRequest, author: str) -> Draft:
        """A valid draft of `request`.

        Raises PeerError BAD_REQUEST: an unknown topic, or a payload its topic does not allow, naming each
        bad field by its wire path. PAYLOAD_TOO_LARGE: longer than the topic allows.
        """
        form = self._forms.get(request.topic) or self._undeclared(request.topic)
        if request.idempotency_key is not None:
            self._check_idempotency_key(request.idempotency_key)
        payload, body, notes = _written(form, request.payload)
        key = self._key(form.topic, payload)
        ends = form.ends if key is not None else ()
        moment = payload.get("timestamp") if form.is_dated else None
        return _draft(
            (
                request.topic,
                key,
                body,
                moment or timestamp(now()),
                author,
                request.idempotency_key,
                ends,
                None,
                notes,
            )
        )

    def change(self, change: Change, author: str) -> Draft:
        """A valid draft of `change`. Raises PeerError as `draft` does."""
        form = self._state_forms.get(change.topic)
        if form is None:
            raise PeerError("BAD_REQUEST", f'topic: "{change.topic}" is no state topic')
        if change.idempotency_key is not None:
            self._check_idempotency_key(change.idempotency_key)
        payload, body, notes = _written(form, change.payload)
        return Draft(
            change.topic,
            self._key(form.topic, payload),
            body,
            timestamp(now()),
            author,
            change.idempotency_key,
            (change.topic,) if change.deletes else (),
            EXISTS if change.deletes and change.if_revision is None else change.if_revision,
            notes,
        )

    def _key(self, topic: Topic, payload: Mapping[str, Any]) -> str | None:
        key = _key(topic, payload)
        most = self._limits.max_key_bytes
        if key is not None and 4 * len(key) > most and len(key.encode()) > most:
            raise OverLimit("max_key_bytes", "BAD_REQUEST", f"{topic.key}: a key may have {most} bytes")
        return key

    def _check_idempotency_key(self, key: str) -> None:
        most = self._limits.max_id_bytes
        if not key:
            raise PeerError("BAD_REQUEST", f"idempotencyKey: expected 1 to {most} bytes")
        check_id(key, most, "idempotencyKey")

    def _undeclared(self, topic: str) -> _Form:
        if not is_topic(topic):
            raise PeerError(
                "BAD_REQUEST", f"topic: {topic[:80]!r} is no topic name (dotted lower-case segments)"
            )
        if topic in self._state_forms:
            raise PeerError("BAD_REQUEST", f'topic: "{topic}" is state, and written by its own procedures')
        if self._allow_undeclared:
            return _form(Topic(topic))
        hint = did_you_mean(topic, self._forms)
        raise PeerError("BAD_REQUEST", f'topic: no plugin declares "{topic}"{hint}')


def _written(form: _Form, given: Any) -> tuple[Mapping[str, Any], bytes, bytes]:
    """The payload in wire form, that as JSON, and its notes. Raises PeerError."""
    try:
        if form.recognises(given):
            payload, json, notes = given, json_bytes(given), b""
        else:
            payload, json, notes = _read(form, given)
    except StructureError as error:
        raise PeerError("BAD_REQUEST", str(error)) from error
    except TypeError as error:
        raise PeerError("BAD_REQUEST", f"the payload cannot be written as JSON: {error}") from error
    except RecursionError as error:
        raise PeerError("BAD_REQUEST", "the payload is nested too deeply") from error
    except TooRich as error:
        raise PeerError("BAD_REQUEST", f"the payload {error}") from error
    # A copy takes no more memory than it needs. Measured reason: the serializer's own bytes begin a
    # kilobyte of heap, whose rest is unused as long as storage keeps them: 2.2 kB an event, not 0.5.
    body = memoryview(json).tobytes()
    if 0 < form.topic.max_bytes < len(body) + len(notes):
        message = f"the payload is {len(body) + len(notes)} bytes long; {form.topic.max_bytes} are allowed"
        raise OverLimit(
            "max_entry_bytes" if form.topic.state_keys else "max_bytes", "PAYLOAD_TOO_LARGE", message
        )
    return payload, body, notes


def _read(form: _Form, given: Any) -> tuple[Mapping[str, Any], bytes, bytes]:
    """`_written` for what has yet to be read. Raises StructureError, TooRich; TypeError if it is no JSON."""
    payload = form.wire_form(given)
    try:
        json = orjson.dumps(payload, None, orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        payload = spelled(payload, _spell)
        json = json_bytes(payload)
    if form.marks.is_closed:
        return payload, json, b""
    notes = notes_of(given if given.__class__ in NOTED else payload)
    kept = [note for note in notes if form.marks.free(note[0])]
    if sum(len(path) for path, _ in kept) > MOST_STEPS_KEPT:
        raise PeerError("BAD_REQUEST", "the payload has too much, too deep in it, that JSON has no form for")
    return payload, json, to_bytes(kept)


def _spell(leaf: Any) -> Any:
    """`leaf` as JSON has it, if it is a time or octets, which a source may publish as they are."""
    if isinstance(leaf, datetime):
        return noted_text(timestamp(leaf), "Date")
    if isinstance(leaf, bytes | bytearray | memoryview):
        return noted_text(b64encode(leaf).decode("ascii"), "bytes")
    return leaf


_ANYTHING = wire.marks(Any)


def _form(topic: Topic, ends: Sequence[str] = ()) -> _Form:
    if topic.type is None:
        return _Form(
            topic, lambda _: False, _object, lambda one: one, _ANYTHING, is_dated=False, ends=tuple(ends)
        )
    attrs.resolve_types(topic.type)
    dates = [each for each in attrs.fields(topic.type) if each.name == "timestamp"]
    is_dated = any(each.type in (datetime, datetime | None) for each in dates)
    return _Form(
        topic,
        wire.recogniser(topic.type),
        wire.compile(topic.type),
        wire.writer(topic.type),
        wire.marks(topic.type),
        is_dated=is_dated,
        ends=tuple(ends),
    )


def _object(payload: object) -> Mapping[str, Any]:
    if attrs.has(type(payload)):
        return wire.unstructure(payload)  # type: ignore[no-any-return]
    return wire.structure(payload, dict[str, Any])


def _key(topic: Topic, payload: Mapping[str, Any]) -> str | None:
    if topic.key is None:
        return None
    value = payload.get(topic.key)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    complaint = "required" if value is None else "expected string"
    raise PeerError("BAD_REQUEST", f"{topic.key}: {complaint}")
