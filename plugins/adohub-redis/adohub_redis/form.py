"""The form that events have on the channel: JSON, `{"type": "task.progress", …payload}`.

A payload that has a `type` of its own is said whole: `{"type": "agent.output", "payload": {…}}`. A message
with these two members and no other is taken for that; so a payload whose only member is an object named
`payload` is said whole, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

MOST_BYTES = 1024 * 1024
"""The longest message that is read, in bytes."""

OURS = b" \n\t\n"
"""What ends a message of a hub, which is not to be taken in: white space, and nothing to whoever reads JSON
(RFC 8259, section 2)."""

PRIVATE = "worker."
"""How the topics begin that are between the hubs and those who work for them: not for the channel."""


class UnfitError(Exception):
    """A message is no event, for the reason that `str()` gives: nothing of the message itself is in it."""


def is_ours(text: bytes) -> bool:
    """Whether a hub has published it."""
    return text.endswith(OURS)


def written(topic: str, body: bytes) -> bytes:
    """An event as hubs publish it. `body` is its payload, a JSON object without white space around it."""
    payload = orjson.loads(body)
    name = orjson.dumps(topic)
    if "type" in payload or _is_whole(payload):
        return b'{"type":%b,"payload":%b}%b' % (name, body, OURS)
    return b'{"type":%b%b%b%b' % (name, b"," if payload else b"", body[1:], OURS)


def read(text: bytes) -> tuple[str, Mapping[str, Any]]:
    """The topic and the payload that a message tells of. Raises UnfitError."""
    if len(text) > MOST_BYTES:
        raise UnfitError("it is too long")
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnfitError("it is no JSON") from None
    if not isinstance(said, dict):
        raise UnfitError("it is no JSON object")
    topic = said.pop("type", None)
    if not isinstance(topic, str):
        raise UnfitError("its type is no text")
    if topic.startswith(PRIVATE):
        raise UnfitError("its topic is not for the channel")
    return topic, said["payload"] if _is_whole(said) else said


def _is_whole(members: Mapping[str, Any]) -> bool:
    return len(members) == 1 and isinstance(members.get("payload"), dict)
