"""The slow twin of `hub/cohort`: every message of every subscriber is encoded, framed and sent by itself.

It is what the fast path is compared with: by tests, which hold that both give every socket the same bytes,
and by the benchmark, which tells what sharing frames is worth. `[server] fan_out = "single"` puts it to work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adohub.hub.cohort import SEND_BYTES, Bodies, Cohort, Interest, Member, Slice
from adohub.hub.replays import data_frames
from adohub.model import PARTIAL, Event, Position
from adohub.wire.dialect import JSON_FRAMES
from adohub.wire.encode import View, json_bytes
from adohub.wire.frame import text_frame
from adohub.wire.messages import Stopped, Tag


class SlowCohort(Cohort):
    """A cohort that shares nothing. Its members fall behind at the very event that they have no room for."""

    __slots__ = ("_staged",)

    def __init__(self, interest: Interest) -> None:
        super().__init__(interest)
        self._staged: list[Event] = []

    def stage(self, event: Event, bodies: Bodies) -> bool:
        """See `Cohort`."""
        if not self._completed and event not in self._staged:
            self._completed = self.interest.completed_by(event)
            if self._completed or self._shows(event):
                self._staged.append(event)
        return bool(self._staged)

    def flush(self, before: Position) -> Iterator[Slice]:
        """See `Cohort`."""
        events, self._staged = self._staged, []
        completes, self._completed = self._completed, False
        return self._one_by_one(events, list(self.members), before, completes=completes)

    def flush_at_once(self, before: Position) -> Slice:
        """See `Cohort`."""
        slices = list(self.flush(before))
        return sum(cost for cost, _ in slices), sum(given for _, given in slices)

    def _one_by_one(
        self, events: Sequence[Event], recipients: Sequence[Member], before: Position, *, completes: bool
    ) -> Iterator[Slice]:
        for member in recipients:
            given, messages = before, 0
            for event in events:
                push = self.members.get(member)
                if push is None:
                    break
                frames = list(self._frames_of(event))
                if not push(b"".join(frames)):
                    del self.members[member]
                    member.fall_behind(given)
                    break
                given = event.position
                messages += len(frames)
            else:
                if completes:
                    del self.members[member]
                    member.complete()
            yield SEND_BYTES * len(events), messages

    def _frames_of(self, event: Event) -> Iterator[bytes]:
        interest, dialect = self.interest, self.interest.dialect
        if self._shows(event):
            if dialect is JSON_FRAMES:
                yield text_frame(data_message(event, interest.view, interest.tag))
            else:
                yield from data_frames([event], interest, interest.view)
        if interest.completed_by(event):
            yield dialect.message(Stopped(interest.tag))


def data_message(event: Event, view: View, tag: Tag) -> bytes:
    """The whole data message of `event`, made of its values and of nothing that others share."""
    shown: Any = event.payload
    if view.whole:
        shown = {
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "payload": event.payload,
            "timestamp": event.timestamp,
        }
    if view.revised:
        shown = {**shown, "revision": event.position.offset}
    event_id = event.id + PARTIAL if view.partial else event.id
    if view.tracked:
        shown = {"id": event_id, "data": shown}
    return json_bytes(_reply(tag) | {"result": {"type": "data", "data": shown, "id": event_id}})


def _reply(tag: Tag) -> dict[str, Any]:
    return {"id": tag.id, "jsonrpc": "2.0"} if tag.jsonrpc else {"id": tag.id}
