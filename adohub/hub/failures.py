"""Credentials that were refused of late, by address: how long the next refusal is held, and what is logged.

Law: who shows a good credential never waits for what others at its address did. So nobody can lock out
those behind the same proxy; what fails again and again is only answered ever later, and not all at one
moment: a thousand clients that are answered together come back together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from random import uniform
from typing import Any

import structlog
import trio
from attrs import define

MOST_ADDRESSES = 10_000
"""How many addresses are remembered; then those are forgotten that have failed least lately."""

WINDOW_S = 60.0

_log = structlog.get_logger("adohub.authentication")


@define
class _Record:
    """`level_at`: when all will be forgiven, on trio's clock; a refusal puts it off by its share of a minute.

    That is the generic cell rate algorithm: one number for each address.
    """

    level_at: float
    unsaid: int = 0
    """How many were not logged since the last one that was."""


class Failures:
    """`per_minute`: how many refusals one address hears at once. `longest_hold_s`: how late one may come."""

    def __init__(self, per_minute: int, longest_hold_s: float) -> None:
        self._share_s = WINDOW_S / per_minute
        self._longest_hold_s = longest_hold_s
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def note(self, credentials: Mapping[str, Any], reason: str) -> float:
        """These were refused for this `reason`: how long the answer is to be held, in seconds."""
        source = source_of(credentials)
        record = self._record(source)
        now = trio.current_time()
        level_at = max(record.level_at, now) + self._share_s
        hold_s = min(max(0.0, level_at - now - WINDOW_S), self._longest_hold_s) * uniform(0.5, 1)
        record.level_at = min(level_at, now + WINDOW_S + self._longest_hold_s)
        if hold_s:
            record.unsaid += 1
        else:
            _log.warning("credential refused", address=source, reason=reason, unsaid=record.unsaid)
            record.unsaid = 0
        return hold_s

    def _record(self, source: str) -> _Record:
        record = self._records.get(source)
        if record is None:
            record = self._records[source] = _Record(level_at=0.0)
            if len(self._records) > MOST_ADDRESSES:
                self._records.popitem(last=False)
        self._records.move_to_end(source)
        return record


def source_of(credentials: Mapping[str, Any]) -> str:
    """Who is held to account: a local user, or an address, of IPv6 the /64 that one host has to itself."""
    if "uid" in credentials:
        return f"uid {credentials['uid']}"
    text = str(credentials.get("address", ""))
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
