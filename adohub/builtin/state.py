"""`state.*`: values by key that controllers and workers share, each with a revision.

A key's value is its newest `state.changed` event, whose offset is the revision. What decides about
`ifRevision` is storage, in the order of events; so of several who change one revision, one succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from attrs import field, frozen, validators

from adohub import (
    Call,
    Change,
    Channel,
    Event,
    PeerError,
    Pending,
    Procedure,
    Selection,
    Topic,
    hookimpl,
    size_of,
)

TOPIC = "state.changed"

MAX_KEY_CHARS = 512
MAX_LISTED_ENTRIES = 10_000
MAX_LISTED_BYTES = 8 * 1024 * 1024
"""How much one `state.list` answers, in entries and in bytes of them."""

_KEY = validators.and_(
    validators.min_len(1), validators.max_len(MAX_KEY_CHARS), validators.matches_re(r"[^\x00-\x1f\x7f]*")
)
_REVISION = validators.optional(validators.ge(0))


@frozen
class StateConfig:
    """`[plugin.state]`. `max_entry_bytes`: how long key and value of one entry may be together, as JSON."""

    max_keys: int = field(default=100_000, validator=validators.ge(1))
    max_entry_bytes: int = field(default=256 * 1024, validator=validators.ge(1024))


@frozen
class StateChange:
    """A key has a new value, or, when it was deleted, none."""

    op: Literal["set", "delete"]
    key: str
    value: Any


@frozen
class SetInput:
    """With a revision: only if it is the key's; 0 means that there must be no such key yet."""

    key: str = field(validator=_KEY)
    value: Any
    if_revision: int | None = field(default=None, validator=_REVISION)
    idempotency_key: str | None = None


@frozen
class DeleteInput:
    """With a revision: only if it is the key's."""

    key: str = field(validator=_KEY)
    if_revision: int | None = field(default=None, validator=_REVISION)
    idempotency_key: str | None = None


@frozen
class GetInput:
    """Which key."""

    key: str = field(validator=_KEY)


@frozen
class PrefixInput:
    """What the keys begin with; empty for all of them."""

    prefix: str = field(validator=validators.max_len(MAX_KEY_CHARS))


@frozen
class Revision:
    """What the key has come to."""

    revision: int


@frozen
class StateValue:
    """What a key has, and since which revision."""

    value: Any
    revision: int


@frozen
class StateEntry:
    """A key, what it has, and since which revision."""

    key: str
    value: Any
    revision: int


@frozen
class StateEntries:
    """The chosen keys, in order."""

    entries: Sequence[StateEntry]


def set_(input: SetInput, call: Call) -> Pending[Any]:
    """Answers `{revision}`."""
    payload = {"op": "set", "key": input.key, "value": input.value}
    change = Change(TOPIC, payload, if_revision=input.if_revision, idempotency_key=input.idempotency_key)
    return call.hub.change(call.principal, change).then(_revision)


def delete(input: DeleteInput, call: Call) -> Pending[Any]:
    """Answers `{revision}`, 0 if there was nothing to delete."""
    payload = {"op": "delete", "key": input.key, "value": None}
    change = Change(
        TOPIC,
        payload,
        deletes=True,
        if_revision=input.if_revision,
        idempotency_key=input.idempotency_key,
    )
    return call.hub.change(call.principal, change).then(_revision)


def _revision(revision: int) -> Any:
    return {"revision": revision}


async def get(input: GetInput, call: Call) -> Any:
    """Answers `{value, revision}`, or null if there is no such key."""
    newest = await call.hub.newest(call.principal, Selection([TOPIC], key=input.key))
    if not newest:
        return None
    entry = _entry(newest[0])
    return {"value": entry["value"], "revision": entry["revision"]}


async def list_(input: PrefixInput, call: Call) -> Any:
    """Answers `{entries: [{key, value, revision}]}`, in order of their keys."""
    newest = await call.hub.newest(call.principal, Selection([TOPIC], prefix=input.prefix))
    if len(newest) > MAX_LISTED_ENTRIES or size_of(newest) > MAX_LISTED_BYTES:
        raise PeerError(
            "PAYLOAD_TOO_LARGE",
            f"there are {len(newest)} keys; ask for a longer prefix, or subscribe to state.onChange",
        )
    entries = map(_entry, newest)
    return {"entries": sorted(entries, key=lambda entry: str(entry["key"]))}


def _entry(event: Event) -> dict[str, Any]:
    return {"key": event.key, "value": event.noted_payload["value"], "revision": event.position.offset}


def _below(input: PrefixInput) -> Selection:
    return Selection([TOPIC], prefix=input.prefix)


@hookimpl
def adohub_config_type() -> type[StateConfig]:
    return StateConfig


@hookimpl
def adohub_topics(config: StateConfig) -> list[Topic]:
    return [
        Topic(TOPIC, StateChange, key="key", max_bytes=config.max_entry_bytes, state_keys=config.max_keys)
    ]


@hookimpl
def adohub_channels(config: StateConfig) -> list[Channel]:
    return [
        Channel(
            "state.onChange",
            topics=[TOPIC],
            input=PrefixInput,
            select=_below,
            revised=True,
            synced={"op": "synced", "key": None, "value": None},
        )
    ]


@hookimpl
def adohub_procedures(config: StateConfig) -> list[Procedure]:
    return [
        Procedure("state.set", "mutation", set_, SetInput, Revision),
        Procedure("state.delete", "mutation", delete, DeleteInput, Revision),
        Procedure("state.get", "query", get, GetInput, StateValue | None),
        Procedure("state.list", "query", list_, PrefixInput, StateEntries),
    ]
