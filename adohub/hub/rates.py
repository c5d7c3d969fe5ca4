"""How much a principal may publish in a second, by its roles: two buckets of one second's worth each.

Law: what is asked for together passes together or not at all, and what does not pass takes nothing.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import trio
from attrs import define

from adohub.config import Role
from adohub.errors import OverLimit
from adohub.hub.policy import ALL_RIGHTS
from adohub.model import Draft, Principal, size_of

BURST_S = 1.0
"""How many seconds' worth may come at one moment."""

MOST_PRINCIPALS = 10_000
"""How many principals are remembered; then the one is forgotten that has published least lately."""


@define
class _Buckets:
    """When what has been taken will have flowed in again, on trio's clock: events, and bytes."""

    events_at: float = -math.inf
    bytes_at: float = -math.inf


class Rates:
    """Of several roles with a limit the largest counts; the role that may do everything has none."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._limited = {
            name: role for name, role in roles.items() if role.max_events_per_s or role.max_bytes_per_s
        }
        self._buckets: OrderedDict[str, _Buckets] = OrderedDict()

    def take(self, principal: Principal, drafts: Sequence[Draft]) -> None:
        """Raises OverLimit, TOO_MANY_REQUESTS, if `principal` has to wait before it publishes these.

        Its `data` then has `retryAfterMs`, unless they are more than ever pass at one moment.
        """
        if not self._limited:
            return
        roles = [self._limited[name] for name in principal.roles if name in self._limited]
        if not roles or ALL_RIGHTS in principal.roles:
            return
        buckets, now = self._of(principal), trio.current_time()
        events_at = _filled(
            "max_events_per_s", [role.max_events_per_s for role in roles], len(drafts), buckets.events_at, now
        )
        bytes_at = _filled(
            "max_bytes_per_s",
            [role.max_bytes_per_s for role in roles],
            size_of(drafts),
            buckets.bytes_at,
            now,
        )
        buckets.events_at, buckets.bytes_at = events_at, bytes_at

    def _of(self, principal: Principal) -> _Buckets:
        buckets = self._buckets.get(principal.name)
        if buckets is None:
            buckets = self._buckets[principal.name] = _Buckets()
            if len(self._buckets) > MOST_PRINCIPALS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(principal.name)
        return buckets


def _filled(limit: str, rates: Sequence[int], amount: int, filled_at: float, now: float) -> float:
    """When the bucket will be full again if `amount` is taken from it. Raises OverLimit."""
    rate = max(rates)
    if not rate:
        return filled_at
    takes_s = amount / rate
    if takes_s > BURST_S:
        raise OverLimit(
            limit,
            "TOO_MANY_REQUESTS",
            f"this is more than may be published in a whole second: {rate}",
        )
    filled_at = max(filled_at, now) + takes_s
    if filled_at - now > BURST_S:
        wait_ms = math.ceil(1000 * (filled_at - now - BURST_S))
        message = f"this role may publish {rate} {limit.split('_')[1]} a second; try again in {wait_ms} ms"
        raise OverLimit(limit, "TOO_MANY_REQUESTS", message, data={"retryAfterMs": wait_ms})
    return filled_at
