"""What a cursor sees of the session whose subscription it serves (`adohub.hub.cursor.Subscriber`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from adohub.errors import Goodbye
from adohub.hub.cohort import Push
from adohub.net.outbox import Outbox
from adohub.wire.messages import Tag


class Session(Protocol):
    """What a subscription needs of `adohub.net.session.Session`, which says what each of these does."""

    outbox: Outbox

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None: ...
    async def replay(self, tag: Tag, path: str, replay: Callable[[], Awaitable[None]]) -> None: ...
    def say_missed(self, tag: Tag) -> None: ...
    def complete(self, tag: Tag) -> None: ...
    def drop(self, goodbye: Goodbye) -> None: ...


class Subscription:
    """One subscription of `session`, by its request's tag and path."""

    __slots__ = ("_session", "path", "tag")

    def __init__(self, session: Session, tag: Tag, path: str) -> None:
        self._session = session
        self.tag = tag
        self.path = path

    @property
    def push(self) -> Push:
        """See `Subscriber`."""
        return self._session.outbox.push

    async def room(self) -> None:
        """See `Subscriber`."""
        await self._session.outbox.lull()

    def start(self, replay: Callable[[], Awaitable[None]]) -> None:
        """See `Subscriber`."""
        self._session.start_soon(lambda: self._session.replay(self.tag, self.path, replay))

    def missed(self) -> None:
        """See `Subscriber`."""
        self._session.say_missed(self.tag)

    def completed(self) -> None:
        """See `Subscriber`."""
        self._session.complete(self.tag)

    def drop(self, goodbye: Goodbye) -> None:
        """See `Subscriber`."""
        self._session.drop(goodbye)
