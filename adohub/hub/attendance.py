"""One subscription and the presence that lasts as long. Whoever holds it leaves it as it would a cursor."""

from __future__ import annotations

import secrets
from typing import Any, Protocol

import trio

from adohub.errors import PeerError, StorageError
from adohub.hub.cursor import Cursor, Subscriber
from adohub.hub.journal import Resumption
from adohub.model import Position


class Desk(Protocol):
    """Where attendances are kept account of."""

    async def arrive(self, attendance: Attendance) -> None:
        """Have it be present. Raises PeerError, StorageError."""
        ...

    def resumption(self, attendance: Attendance) -> Resumption:
        """Where what was kept for it begins."""
        ...

    def depart(self, attendance: Attendance) -> None:
        """It is over."""
        ...


class Attendance:
    """Somebody's presence under `key` as this hub has it; `about` is what the record says of it."""

    __slots__ = (
        "_cursor",
        "_desk",
        "_subscriber",
        "about",
        "handed",
        "has_arrived",
        "is_over",
        "is_returning",
        "key",
        "ticket",
    )

    def __init__(self, desk: Desk, subscriber: Subscriber, key: str, about: Any) -> None:
        self._desk = desk
        self._subscriber = subscriber
        self._cursor: Cursor | None = None
        self.key = key
        self.about = about
        self.ticket = secrets.token_hex(8)
        self.handed = trio.Event()
        """Set once the hub that attended before has said how far it had come."""
        self.has_arrived = False
        self.is_returning = False
        """Whether it has to arrive once more, because there is no record of it any more."""
        self.is_over = False

    async def arrive(self) -> None:
        """Be present; returns without it if it is left meanwhile. Raises PeerError, StorageError."""
        try:
            await self._desk.arrive(self)
        except (PeerError, StorageError):
            if not self.is_over:
                raise

    def begin(self, resumption: Resumption | None) -> Resumption:
        """Where its cursor begins: after what its subscriber has seen, or else has been given before."""
        if resumption is not None and resumption.recovered:
            return resumption
        return self._desk.resumption(self)

    def serve(self, cursor: Cursor) -> None:
        """`cursor` delivers what it attends for."""
        self._cursor = cursor

    @property
    def given(self) -> Position | None:
        """Its subscriber has been given everything up to here, or, if None, nothing at all."""
        return None if self._cursor is None else self._cursor.given

    def leave(self) -> None:
        """The peer stopped the subscription, or is gone."""
        if not self.is_over:
            self.is_over = True
            self._desk.depart(self)
            if self._cursor is not None:
                self._cursor.leave()

    def refuse(self, error: PeerError) -> None:
        """End the subscription with `error`: it is not present any more."""
        self.leave()

        async def tell() -> None:
            raise error

        self._subscriber.start(tell)
