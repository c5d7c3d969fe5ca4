"""Makes events of what others say on the channel.

Law: of a message there is one event, whoever of the hubs takes it in, and should two: its number is its
idempotency key. The hub whose turn it is takes them in, in their order; who is next has heard them, too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog
import trio

from adohub import PeerError, Publish, StorageError
from adohub_redis import form
from adohub_redis.channel import Channel
from adohub_redis.line import Line, Rests
from adohub_redis.refusals import Refusals
from adohub_redis.server import Server
from adohub_redis.tape import Message, Number
from adohub_redis.turn import Turn

BATCH_MESSAGES = 256
"""How many messages are on their way to storage at a time."""

_REASONS: Mapping[str, str] = {
    "BAD_REQUEST": "there is no such topic, or it does not allow this payload",
    "PAYLOAD_TOO_LARGE": "it is too long for its topic",
}

_Publication = tuple[str, Coroutine[Any, Any, str]]
"""A topic, and what gives the id of the event once it is kept."""

_log = structlog.get_logger("adohub.redis")


class Intake:
    """Takes in what `channel` hears, when it is this hub's turn."""

    def __init__(self, server: Server, line: Line, channel: Channel) -> None:
        self._channel = channel
        self._tape = channel.tape
        self._turn = Turn(server, line, "intake", heed=self._heed, is_able=lambda: channel.is_sound)
        self._refusals = Refusals(server.keys.channel)

    async def run(self, publish: Publish) -> None:
        """The source."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._turn.run)
            await self._take(publish)

    def _heed(self, word: str) -> None:
        """Somebody has taken in what there was up to `word`."""
        taken = Number.parse(word)
        if taken is not None:
            self._tape.let_go(taken)

    async def _take(self, publish: Publish) -> None:
        rests = Rests()
        while True:
            await self._tape.filled()
            await self._turn.mine()
            if self._tape.lost:
                self._refusals.note("more has come than can be taken in", number=self._tape.lost)
                self._tape.lost = 0
            batch = self._tape.first(BATCH_MESSAGES)
            if not batch:
                continue  # while this hub waited for its turn another has taken them in
            if await self._has_taken(batch, publish):
                self._tape.let_go(batch[-1].number)
                self._turn.so_far = str(batch[-1].number)
                rests.begin_anew()
            else:
                await rests.rest()

    async def _has_taken(self, batch: Sequence[Message], publish: Publish) -> bool:
        """Whether each of them is an event now, or refused; if storage fails, all may be tried again."""
        is_done = True
        with ExitStack() as leaving:
            under_way: list[_Publication] = []
            for message in batch:
                try:
                    under_way += self._submitted(message, publish)
                except StorageError:
                    is_done = False
                    break
            for _, publication in under_way:
                leaving.callback(publication.close)  # of no effect once it was awaited
            for topic, publication in under_way:
                try:
                    with self._judged(topic):
                        await publication
                except StorageError:
                    is_done = False
        return is_done

    def _submitted(self, message: Message, publish: Publish) -> list[_Publication]:
        """Its publication, unless it is refused at once. Raises StorageError."""
        try:
            topic, payload = form.read(message.text)
        except form.UnfitError as error:
            self._refusals.note(str(error))
            return []
        submitted: list[_Publication] = []
        with self._judged(topic):
            submitted.append((topic, publish(topic, payload, idempotency_key=str(message.number))))
        return submitted

    @contextmanager
    def _judged(self, topic: str) -> Iterator[None]:
        """What is raised inside is the refusal of a message, but for StorageError."""
        try:
            yield
        except StorageError:
            raise
        except PeerError as error:
            if error.code == "SERVICE_UNAVAILABLE":
                raise StorageError(error.message) from error
            self._refusals.note(_REASONS.get(error.code, error.code), topic)
        except Exception:  # noqa: BLE001 - code of a topic's plugin, given what a stranger says
            _log.exception("a topic is at fault", topic=topic)
            self._refusals.note("its topic is at fault", topic)
