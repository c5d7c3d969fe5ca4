"""What procedures, routes and sources may ask of the hub: publish, look back, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import accumulate
from typing import Any

import attrs
import trio

from adohub.errors import OverLimit, PeerError
from adohub.hub.intake import Intake
from adohub.hub.journal import Journal
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.hub.presence import Registrar
from adohub.hub.rates import Rates
from adohub.model import EXISTS, Draft, Event, Position, Principal, Right, size_of
from adohub.plugin.contracts import Change, Pending, Publish, PublishRequest, Submission
from adohub.plugin.presence import Present
from adohub.plugin.registry import Registry
from adohub.plugin.storage import Page, Receipt
from adohub.structuring import wire_name
from adohub.topics import Selection
from adohub.version import __version__

MAX_HISTORY_EVENTS = 1000
"""The most events that one page of history holds."""

MAX_HISTORY_BYTES = 4 * 1024 * 1024
"""How many bytes of payloads one page of history holds, unless its first event alone is longer."""


class HubService:
    """The narrow face of the hub (`adohub.plugin.contracts.Hub`).

    `engine` is the storage engine's name, `schema_hash` what tells the types of all this from others,
    `instance` what tells this run of the hub from all others.
    """

    def __init__(
        self,
        registry: Registry,
        journal: Journal,
        intake: Intake,
        policy: Policy,
        rates: Rates,
        *,
        engine: str,
        schema_hash: str,
        instance: str,
        registrars: Mapping[str, Registrar] | None = None,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._intake = intake
        self._policy = policy
        self._rates = rates
        self._engine = engine
        self._schema_hash = schema_hash
        self._instance = instance
        self._registrars = registrars or {}
        self._started_at = trio.current_time()
        self._is_draining: Callable[[], bool] = lambda: False

    def report_draining(self, is_draining: Callable[[], bool]) -> None:
        """Let `is_draining` say whether `health()` reports it."""
        self._is_draining = is_draining

    def submit(
        self, principal: Principal, events: Sequence[PublishRequest], *, by: Right | None = None
    ) -> Submission:
        """Publish all of `events` or none. See `adohub.plugin.contracts.Hub.submit`."""
        if by is not None:
            self.demand(principal, by)
        drafts: list[Draft] = []
        try:
            for event in events:
                if by is None:
                    self._policy.demand(principal, "publish", event.topic)
                drafts.append(self._intake.draft(event, principal.name))
        except PeerError as error:
            if len(events) == 1:
                raise
            raise _at(len(drafts), error) from error
        self._rates.take(principal, drafts)
        return self._journal.submit(drafts)

    async def history(
        self, principal: Principal, selection: Selection, after: str | None, limit: int
    ) -> Page:
        """A page of at most `limit` events that `principal` may see. See `adohub.plugin.contracts.Hub`.

        `after` is any event id, or the `next` of the page before; None begins with the oldest kept.
        """
        permitted = self._policy.narrowed(principal, selection)
        position = await self._after(after) if after is not None else self._journal.tail
        page = await self._journal.look_back(permitted, position, max(1, min(limit, MAX_HISTORY_EVENTS)))
        sizes = accumulate(size_of([event]) for event in page.events)
        kept = max(1, sum(size <= MAX_HISTORY_BYTES for size in sizes))
        if kept >= len(page.events):
            return page
        return Page(page.events[:kept], page.events[kept - 1].position, more=True)

    async def _after(self, event_id: str) -> Position:
        resumption = self._journal.locate(event_id)
        if not resumption.certain:
            resumption = await self._journal.confirmed(resumption)
        return resumption.position

    def change(self, principal: Principal, change: Change) -> Pending[int]:
        """Give a key of a state topic a value, or none. See `adohub.plugin.contracts.Hub.change`."""
        if change.topic in self._registrars:
            raise PeerError("BAD_REQUEST", f'topic: "{change.topic}" is changed by the hub alone')
        draft = self._intake.change(change, principal.name)
        self._policy.demand(principal, "state_write", draft.key or "")
        self._rates.take(principal, [draft])
        return self._journal.submit([draft]).then(lambda receipts: _revision(draft, receipts[0]))

    async def newest(self, principal: Principal, selection: Selection) -> Sequence[Event]:
        """The newest that have not ended, delivered or not. See `adohub.plugin.contracts.Hub.newest`."""
        permitted = self._policy.narrowed(principal, selection)
        newest = await self._journal.look_at_newest(permitted)
        return [event for event in newest.events if event.position not in newest.ended]

    def present(self, topic: str, key: str | None = None) -> Sequence[Present]:
        """Who is present. See `adohub.plugin.contracts.Hub.present`."""
        return self._registrars[topic].present(key)

    async def find_present(self, topic: str, key: str) -> Present | None:
        """Who is present under `key`. See `adohub.plugin.contracts.Hub.find_present`."""
        return await self._registrars[topic].find(key)

    def demand(self, principal: Principal, right: Right) -> None:
        """Raises PeerError FORBIDDEN unless `principal` has `right`."""
        self._policy.demand(principal, *right)

    def trouble(self) -> str | None:
        """What keeps the hub from taking events. See `adohub.plugin.contracts.Hub.trouble`."""
        return self._journal.trouble

    @property
    def head(self) -> Position:
        """The newest event that has been delivered."""
        return self._journal.head

    def publisher(self, source: str) -> Publish:
        """What the source of this name publishes with; it may publish anything."""
        principal = Principal(f"source:{source}", roles=[ALL_RIGHTS])

        def publish(
            topic: str, payload: object, /, *, idempotency_key: str | None = None
        ) -> Coroutine[Any, Any, str]:
            return _id(self.submit(principal, [PublishRequest(topic, payload, idempotency_key)]))

        return publish

    def health(self) -> Mapping[str, Any]:
        """`{status, version, instance, uptime}`, uptime in seconds."""
        status = "draining" if self._is_draining() else "degraded" if self._journal.trouble else "ok"
        return {
            "status": status,
            "version": __version__,
            "instance": self._instance,
            "uptime": round(trio.current_time() - self._started_at, 3),
        }

    def metrics(self, accept: str = "") -> tuple[bytes, str]:
        """What the hub has counted, as text for Prometheus, and its content type; see `Metrics.text`."""
        return self._journal.metrics.text(accept)

    def info(self) -> Mapping[str, Any]:
        """`{channels, topics, plugins, engine, schemaHash}`."""
        channels = [
            {
                "path": path,
                "topics": channel.topics,
                "key": channel.key,
                "replay": channel.replay,
                "tracked": tracked,
            }
            for path, (channel, tracked) in self._registry.subscriptions.items()
        ]
        topics = [
            {"name": topic.name, "key": topic.key, "fields": _fields(topic.type)}
            for topic in self._registry.topics.values()
        ]
        return {
            "channels": channels,
            "topics": topics,
            "plugins": [
                {"name": plugin.name, "version": plugin.version, "status": plugin.status}
                for plugin in self._registry.plugins
            ],
            "engine": self._engine,
            "schemaHash": self._schema_hash,
        }


async def _id(submission: Submission) -> str:
    receipts = await submission
    return str(receipts[0].position)


def _revision(draft: Draft, receipt: Receipt) -> int:
    """The revision that `draft` has made. Raises PeerError if it has made none."""
    found = receipt.position.offset
    if receipt.rejected == "full":
        message = f'there is no room for another key in "{draft.topic}"'
        raise OverLimit("max_keys", "PAYLOAD_TOO_LARGE", message)
    if not receipt.rejected:
        return found
    if draft.ends and draft.if_revision == EXISTS:
        return 0
    there_is = f"it is at revision {found}" if found else "there is none"
    raise PeerError("CONFLICT", f'"{draft.key}" has changed: {there_is}', data={"revision": found})


def _at(number: int, error: PeerError) -> PeerError:
    """`error`, which is about the event of this number."""
    message = f"events[{number}]: {error.message}"
    if isinstance(error, OverLimit):
        return OverLimit(error.limit, error.code, message)
    return PeerError(error.code, message)


def _fields(type_: type[Any] | None) -> Mapping[str, str] | None:
    if type_ is None:
        return None
    return {wire_name(each.name): str(each.type) for each in attrs.fields(type_)}
