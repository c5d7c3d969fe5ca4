"""`workers.*`: who is there to work, and commands for them, wherever they are connected.

A command is an event under the worker's key; a worker is present while it subscribes to them.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import field, frozen, validators

from adohub import (
    Call,
    Channel,
    PeerError,
    Pending,
    Presence,
    Present,
    Procedure,
    PublishRequest,
    Right,
    Selection,
    Topic,
    hookimpl,
    now,
    timestamp,
)

PRESENCE = "worker.presence"
COMMAND = "worker.command"

ATTEND: Right = ("workers", "attend")
SEND: Right = ("workers", "send")
LIST: Right = ("workers", "list")

MAX_ID_CHARS = 512
MAX_CAPABILITIES = 256
MAX_CAPABILITY_CHARS = 256

_ID = validators.and_(
    validators.min_len(1), validators.max_len(MAX_ID_CHARS), validators.matches_re(r"[^\x00-\x1f\x7f]*")
)
_CAPABILITIES: Any = validators.deep_iterable(
    validators.max_len(MAX_CAPABILITY_CHARS), validators.max_len(MAX_CAPABILITIES)
)


@frozen
class WorkersConfig:
    """`[plugin.workers]`. `max_record_bytes`: how long what is kept of one worker may be, as JSON."""

    max_workers: int = field(default=10_000, validator=validators.ge(1))
    max_record_bytes: int = field(default=64 * 1024, validator=validators.ge(8 * 1024))


@frozen
class WorkerCommand:
    """Something for one worker to do; `commandId` tells it from all others, should it come twice."""

    command_id: str
    worker_id: str
    kind: str
    payload: Any
    timestamp: datetime = field(factory=now)


@frozen
class AttendInput:
    """Who attends, what it can do, and whatever else others should know of it."""

    worker_id: str = field(validator=_ID)
    capabilities: Sequence[str] = field(default=(), validator=_CAPABILITIES)
    metadata: Mapping[str, Any] = field(factory=dict)


@frozen
class SendInput:
    """A command for a worker that is present."""

    worker_id: str = field(validator=_ID)
    kind: str = field(validator=validators.min_len(1))
    payload: Any = None


@frozen
class Sent:
    """The command is kept, and its worker will be given it."""

    command_id: str


@frozen
class Worker:
    """A worker that is present, and since when."""

    worker_id: str
    capabilities: Sequence[str]
    metadata: Mapping[str, Any]
    since: datetime


@frozen
class Workers:
    """All workers that are present, in order of their ids."""

    workers: Sequence[Worker]


def send(input: SendInput, call: Call) -> Pending[Any] | Awaitable[Any]:
    """Answers `{commandId}` once the command is kept; NOT_FOUND if the worker is not present."""
    call.hub.demand(call.principal, SEND)
    if call.hub.present(PRESENCE, input.worker_id):
        return _command(input, call)
    return _find_and_command(input, call)


async def _find_and_command(input: SendInput, call: Call) -> Any:
    """For a worker of which this hub has not heard: another one may have let it in just now."""
    if await call.hub.find_present(PRESENCE, input.worker_id) is None:
        raise PeerError("NOT_FOUND", f'worker "{input.worker_id}" is not present')
    return await _command(input, call)


def _command(input: SendInput, call: Call) -> Pending[Any]:
    command_id = secrets.token_hex(12)
    payload = {
        "commandId": command_id,
        "workerId": input.worker_id,
        "kind": input.kind,
        "payload": input.payload,
    }
    request = PublishRequest(COMMAND, payload)
    return call.hub.submit(call.principal, [request], by=SEND).then(lambda _: {"commandId": command_id})


def list_(input: None, call: Call) -> Any:
    """Answers `{workers: [{workerId, capabilities, metadata, since}]}`."""
    call.hub.demand(call.principal, LIST)
    present = sorted(call.hub.present(PRESENCE), key=lambda one: one.key)
    return {"workers": [_shown(one) | {"since": timestamp(one.since)} for one in present]}


def _shown(worker: Present) -> dict[str, Any]:
    return {"workerId": worker.key, **worker.about}


def _announce(worker: Present, what: Literal["added", "removed"]) -> tuple[str, Any]:
    payload = _shown(worker) if what == "added" else {"workerId": worker.key}
    return f"system.worker.{what}", {"type": f"worker.{what}", "payload": payload}


def _key(input: AttendInput) -> str:
    return input.worker_id


def _about(input: AttendInput) -> Any:
    return {"capabilities": list(input.capabilities), "metadata": input.metadata}


def _commands(input: AttendInput) -> Selection:
    return Selection([COMMAND], key=input.worker_id)


@hookimpl
def adohub_config_type() -> type[WorkersConfig]:
    return WorkersConfig


@hookimpl
def adohub_topics(config: WorkersConfig) -> list[Topic]:
    records = Topic(
        PRESENCE,
        Present,
        key="key",
        max_bytes=config.max_record_bytes,
        state_keys=config.max_workers,
    )
    return [records, Topic(COMMAND, WorkerCommand, key="workerId")]


@hookimpl
def adohub_channels(config: WorkersConfig) -> list[Channel]:
    presence = Presence(PRESENCE, _key, _about, _announce, attend=ATTEND, list=LIST)
    return [
        Channel("workers.attend", topics=[COMMAND], input=AttendInput, select=_commands, presence=presence)
    ]


@hookimpl
def adohub_procedures(config: WorkersConfig) -> list[Procedure]:
    return [
        Procedure("workers.send", "mutation", send, SendInput, Sent),
        Procedure("workers.list", "query", list_, output=Workers),
    ]
