"""The only place a draft is made: a payload is checked against its topic, keyed, dated and encoded, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs
from attrs import frozen

from adohub.errors import PeerError
from adohub.model import Draft, now, timestamp
from adohub.plugin.contracts import PublishRequest, Topic
from adohub.structuring import StructureError, did_you_mean, wire
from adohub.topics import is_topic
from adohub.wire.encode import json_bytes

MAX_IDEMPOTENCY_KEY_CHARS = 200
"""The longest idempotency key, in characters."""


@frozen
class _Form:
    """How one topic's payloads are read: attrs instance or mapping in, wire form out."""

    topic: Topic
    structure: Callable[[object], Any] | None

    def wire_form(self, payload: object) -> tuple[Mapping[str, Any], datetime | None]:
        """The payload as the wire shows it, and its own timestamp. Raises StructureError."""
        if self.topic.type is None or self.structure is None:
            return _object(payload), None
        instance = payload if isinstance(payload, self.topic.type) else self.structure(payload)
        moment = getattr(instance, "timestamp", None)
        return wire.unstructure(instance), moment if isinstance(moment, datetime) else None


class Intake:
    """Makes drafts for the declared topics. `allow_undeclared`: any other topic takes any JSON object."""

    def __init__(self, topics: Mapping[str, Topic], *, allow_undeclared: bool) -> None:
        self._allow_undeclared = allow_undeclared
        self._forms = {name: _form(topic) for name, topic in topics.items()}

    def draft(self, request: PublishRequest, author: str) -> Draft:
        """A valid draft of `request`.

        Raises PeerError BAD_REQUEST: an unknown topic, or a payload its topic does not allow, naming each
        bad field by its wire path.
        """
        form = self._form_of(request.topic)
        _check_idempotency_key(request.idempotency_key)
        try:
            payload, moment = form.wire_form(request.payload)
            body = json_bytes(payload)
        except StructureError as error:
            raise PeerError("BAD_REQUEST", str(error)) from error
        except TypeError as error:
            raise PeerError("BAD_REQUEST", f"the payload cannot be written as JSON: {error}") from error
        except RecursionError as error:
            raise PeerError("BAD_REQUEST", "the payload is nested too deeply") from error
        return Draft(
            topic=request.topic,
            key=_key(form.topic, payload),
            body=body,
            timestamp=timestamp(moment or now()),
            author=author,
            idempotency_key=request.idempotency_key,
        )

    def _form_of(self, topic: str) -> _Form:
        form = self._forms.get(topic)
        if form is not None:
            return form
        if not is_topic(topic):
            raise PeerError(
                "BAD_REQUEST", f"topic: {topic[:80]!r} is no topic name (dotted lower-case segments)"
            )
        if self._allow_undeclared:
            return _Form(Topic(topic), None)
        hint = did_you_mean(topic, self._forms)
        raise PeerError("BAD_REQUEST", f'topic: no plugin declares "{topic}"{hint}')


def _form(topic: Topic) -> _Form:
    return _Form(topic, wire.compile(topic.type) if topic.type is not None else None)


def _object(payload: object) -> Mapping[str, Any]:
    if attrs.has(type(payload)):
        return wire.unstructure(payload)  # type: ignore[no-any-return]
    return wire.structure(payload, dict[str, Any])


def _key(topic: Topic, payload: Mapping[str, Any]) -> str | None:
    if topic.key is None:
        return None
    value = payload.get(topic.key)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    complaint = "required" if value is None else "expected string"
    raise PeerError("BAD_REQUEST", f"{topic.key}: {complaint}")


def _check_idempotency_key(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise PeerError(
            "BAD_REQUEST", f"idempotencyKey: expected 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters"
        )
