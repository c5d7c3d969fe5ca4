"""Credentials that expire while their connections are open: one task sees to all of them.

    connected > told to come back, shortly before (`leave`) > silent from then on (`expire`) > ended (`drop`)

A stock client that is told in time comes back with a fresh credential and misses nothing. Whoever comes back
with the old one and little time left is not told again, or it would go in circles; what it gets is the end.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from itertools import count
from random import uniform
from typing import Protocol

import trio

from adohub.config import Auth
from adohub.errors import Goodbye
from adohub.metrics import Metrics

LEAST_NOTICE_S = 1.0
"""With less time than this in hand there is no notice: clients come back no more than once in that time."""

NOTICE_SHARE = 0.25
"""How much of the time that a connection has left when it comes may be notice."""

LOOK_AGAIN_S = 30.0
"""How long at most until the clock is looked at again, in seconds: it may have been set."""

STEPS_AT_A_TIME = 100
"""After how many steps others may run."""

CLOSE_POLICY = 1008
CLOSE_RESTART = 1012

_SOON = Goodbye(CLOSE_RESTART, "the credential is about to expire; reconnect with a fresh one")
_OVER = Goodbye(CLOSE_POLICY, "the credential has expired")


class Expiring(Protocol):
    """One connection whose principal is one for a time only."""

    def leave(self, goodbye: Goodbye) -> None:
        """End with `goodbye` as soon as no call is in flight."""
        ...

    def expire(self) -> None:
        """Deliver nothing and begin nothing any more; end as soon as no call is in flight."""
        ...

    def drop(self, goodbye: Goodbye) -> None:
        """End with `goodbye` now."""
        ...


class Expiry:
    """`clock` tells the time in POSIX seconds."""

    def __init__(self, config: Auth, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._notice_s = config.expiry_notice_ms / 1000
        self._grace_s = config.expiry_grace_ms / 1000
        self._metrics = metrics
        self._clock = clock
        self._due: dict[Expiring, float] = {}
        """When the next step of each is due."""
        self._steps: list[tuple[float, int, Expiring, Callable[[Expiring], None]]] = []
        """A heap. What is not due then any more for its connection is passed over."""
        self._numbers = count()
        self._sooner = trio.Event()

    def watch(self, connection: Expiring, expires_at: float | None) -> None:
        """See to `connection`, whose principal is one until `expires_at`; None for good."""
        if expires_at is None:
            return
        left_s = expires_at - self._clock()
        notice_s = min(self._notice_s, NOTICE_SHARE * left_s)

        def notify(connection: Expiring) -> None:
            self._metrics.auth_expired += 1
            self._plan(connection, expires_at, self._expire)
            connection.leave(_SOON)

        def surprise(connection: Expiring) -> None:
            self._metrics.auth_expired += 1
            self._expire(connection)

        if notice_s < LEAST_NOTICE_S:
            self._plan(connection, expires_at, surprise)
        else:
            self._plan(connection, expires_at - notice_s * uniform(0.5, 1), notify)

    def forget(self, connection: Expiring) -> None:
        """`connection` has ended."""
        if self._due.pop(connection, None) is not None and len(self._steps) > 2 * len(self._due) + 100:
            self._steps = [step for step in self._steps if self._due.get(step[2]) == step[0]]
            heapq.heapify(self._steps)

    def _plan(self, connection: Expiring, due: float, step: Callable[[Expiring], None]) -> None:
        self._due[connection] = due
        heapq.heappush(self._steps, (due, next(self._numbers), connection, step))
        if self._steps[0][2] is connection:
            self._sooner.set()

    def _expire(self, connection: Expiring) -> None:
        self._plan(connection, self._due[connection] + self._grace_s, self._end)
        connection.expire()

    def _end(self, connection: Expiring) -> None:
        del self._due[connection]
        connection.drop(_OVER)

    async def run(self) -> None:
        """The task."""
        while True:
            with trio.move_on_after(self._rest_s()):
                await self._sooner.wait()
            self._sooner = trio.Event()
            await self._take_steps()

    def _rest_s(self) -> float:
        """How long until there may be something to do."""
        if not self._steps:
            return math.inf
        return min(max(self._steps[0][0] - self._clock(), 0.0), LOOK_AGAIN_S)

    async def _take_steps(self) -> None:
        taken = 0
        while self._steps and self._steps[0][0] <= self._clock():
            due, _, connection, step = heapq.heappop(self._steps)
            if self._due.get(connection) == due:
                step(connection)
                taken += 1
                if taken % STEPS_AT_A_TIME == 0:
                    await trio.lowlevel.checkpoint()
