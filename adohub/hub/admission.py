"""From a subscription's input to what it is interested in: the channel's own fields, and those all share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from attrs import field, frozen

from adohub.errors import PeerError
from adohub.hub.cohort import Interest
from adohub.hub.policy import Policy
from adohub.model import OnSlow, Principal, Replay
from adohub.plugin.contracts import Channel
from adohub.structuring import StructureError, Structurer, wire
from adohub.topics import Selection
from adohub.wire.dialect import Dialect
from adohub.wire.encode import View, json_bytes
from adohub.wire.messages import ABSENT, Request


@frozen
class SubscriptionInput:
    """What the input of every channel may say besides the channel's own fields."""

    replay: Replay | None = None
    last_event_id: str | None = None


@frozen
class Admission:
    """A subscription that may begin: `last_event_id` is set when it resumes."""

    interest: Interest
    replay: Replay
    last_event_id: str | None
    on_slow: OnSlow
    channel: Channel
    input: Any = None
    """What the channel's own fields say, as its `presence` is given it."""


_structure_shared = wire.compile(SubscriptionInput)

by_field = Structurer(lambda attribute: attribute.removesuffix("_"), closed=False)
"""Reads derived inputs, whose attributes are fields' own wire names with `_` behind: so any name will do."""


@frozen
class Entrance:
    """One subscription path: a channel, plain or `tracked`."""

    channel: Channel
    tracked: bool
    _structure_own: Callable[[object], Any] = field(init=False, repr=False)

    @_structure_own.default
    def _(self) -> Callable[[object], Any]:
        if self.channel.input is not None:
            return wire.compile(self.channel.input)
        return by_field.compile(derived_input(self.channel))

    def admit(self, request: Request, principal: Principal, policy: Policy, dialect: Dialect) -> Admission:
        """What `request` subscribes to. Raises PeerError: BAD_REQUEST naming each field, FORBIDDEN."""
        given = dialect.read(request.input)
        shared, own = self._structured({} if given in (ABSENT, None) else given)
        selection = self._select(own)
        channel = self.channel
        if channel.presence is None:
            selection = policy.narrowed(principal, selection)
        else:
            policy.demand(principal, *channel.presence.attend)
        interest = Interest(
            selection,
            View(whole=channel.whole, tracked=self.tracked, revised=channel.revised),
            channel.completes_on,
            request.tag,
            None if channel.synced is None else json_bytes(channel.synced),
            dialect,
        )
        last_event_id = request.last_event_id if request.last_event_id is not None else shared.last_event_id
        return Admission(
            interest, shared.replay or channel.replay, last_event_id, channel.on_slow, channel, own
        )

    def _structured(self, value: object) -> tuple[SubscriptionInput, Any]:
        faults = []
        results: list[Any] = []
        for structure in (_structure_shared, self._structure_own):
            try:
                results.append(structure(value))
            except StructureError as error:
                faults += [fault for fault in error.faults if fault not in faults]
        if faults:
            raise PeerError("BAD_REQUEST", str(StructureError(faults)))
        return results[0], results[1]

    def _select(self, own: Any) -> Selection:
        channel = self.channel
        if channel.select is not None:
            return channel.select(own)
        key = getattr(own, f"{channel.key}_") if channel.key else None
        where = [(name, value) for name in channel.where if (value := getattr(own, f"{name}_")) is not None]
        return Selection(channel.topics, key=key, where=where)


def derived_input(channel: Channel) -> type[Any]:
    """The input class of a channel that has none: its key, required, and its `where` fields, optional."""
    optional: Any = str | None
    fields: dict[str, Any] = {f"{channel.key}_": field(type=str)} if channel.key else {}
    fields |= {f"{name}_": field(type=optional, default=None, kw_only=True) for name in channel.where}
    return attrs.make_class(f"{channel.path.replace('.', '_')}_input", fields, frozen=True)


def entrances(subscriptions: Mapping[str, tuple[Channel, bool]]) -> Mapping[str, Entrance]:
    """Every subscription path and what is behind it."""
    return {path: Entrance(channel, tracked) for path, (channel, tracked) in subscriptions.items()}
