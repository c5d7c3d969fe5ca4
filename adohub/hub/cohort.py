"""One frame for everybody whose bytes are equal. FENCED FAST PATH; `hub/twin` is its slow twin.

Measured reason: framing and sending once per socket delivers 21,000 messages a second to 1,000 subscribers
where one shared frame delivers over a million. So work is done once per event (a body), once per
cohort (header and prefix), and per socket only `push` of bytes that are already there.

Invariants, for the laws of `hub/cursor` and `hub/pump`:

- `stage`, `flush` and every slice of a flush are synchronous; between two slices others may run;
- `flush` addresses the members of that moment, which is the one in which the head moved: who joins while the
  slices are handed out has read what is in them, and is not given it;
- who leaves while they are handed out is given no more of them;
- a member is given a whole flush or, refused, none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from attrs import evolve, field, frozen

from adohub.model import Event, Position
from adohub.topics import Selection
from adohub.wire.dialect import JSON_FRAMES, Dialect
from adohub.wire.encode import View
from adohub.wire.messages import Stopped, Tag

MAX_REMEMBERED_TOPICS = 256
"""For how many topics a cohort remembers whether it shows them."""

SLICE_BYTES = 4 * 1024 * 1024
"""How much is handed out before others may run: some 250 sends of a few hundred bytes, about 1 ms."""

SEND_BYTES = 16 * 1024
"""What a send costs whatever its length, as the number of bytes that would take as long to copy."""


@frozen
class Interest:
    """All that makes two subscriptions' bytes equal.

    What is chosen, how it is shown, under which tag, in which dialect. `completes_on`: an event of this topic
    and of the selection's key ends the subscription. `synced`: it begins with a snapshot of what is newest,
    and then this payload, as JSON.
    """

    selection: Selection
    view: View
    completes_on: str | None
    tag: Tag
    synced: bytes | None = None
    dialect: Dialect = JSON_FRAMES
    reading: Selection = field(init=False, eq=False)
    """What must be read to serve it: the chosen events and the completing ones."""

    @reading.default
    def _(self) -> Selection:
        selection, end = self.selection, self.completes_on
        if end is None:
            return selection if not selection.where else evolve(selection, where=())
        visible = selection.visible
        return evolve(
            selection,
            topics=(*selection.topics, end),
            where=(),
            visible=None if visible is None else (*visible, end),
        )

    @property
    def shows_all(self) -> bool:
        """Whether all that is read for it is shown."""
        return self.completes_on is None and not self.selection.where

    @property
    def newest(self) -> Sequence[Selection]:
        """What to ask for the newest of it: `where` must not be left out, an older one may be chosen."""
        if not self.selection.where:
            return (self.reading,)
        if self.completes_on is None:
            return (self.selection,)
        return (self.selection, evolve(self.reading, topics=(self.completes_on,)))

    def completed_by(self, event: Event) -> bool:
        """Whether `event` ends it."""
        return event.topic == self.completes_on and self.selection.key in (None, event.key)


class Member(Protocol):
    """A live cursor, as its cohort sees it."""

    def fall_behind(self, position: Position) -> None:
        """It was refused room: it has been given everything up to `position`, and has left the cohort."""
        ...

    def interrupt(self, position: Position) -> None:
        """Its epoch is over: it has been given everything up to `position`, and has left the cohort."""
        ...

    def complete(self) -> None:
        """It has been given its last data and `stopped`, and has left the cohort."""
        ...


Push = Callable[[bytes], bool]
"""Hands a socket some whole frames: False if it has no room, and then nothing was taken."""

Slice = tuple[int, int]
"""What handing it out has cost, in bytes, and how many messages it gave to members."""


class _Form:
    """A dialect and a view: all that a body depends on besides its event.

    One object for all cohorts of a form, so that bodies are looked up by it: to hash the two each time takes
    a fifteenth of a delivery to one subscriber.
    """

    __slots__ = ("body", "dialect", "header")

    def __init__(self, dialect: Dialect, view: View) -> None:
        self.dialect = dialect
        self.header = dialect.header
        self.body: Callable[[Event], bytes] = partial(dialect.body, view=view)


@lru_cache(maxsize=256)
def _form(dialect: Dialect, view: View) -> _Form:
    return _Form(dialect, view)


Bodies = dict[_Form, bytes]
"""One event's bodies, filled on first use and shared by all cohorts."""


class _Staged(NamedTuple):
    """What one flush hands out: frames, how many messages they are, and whether the last one completes."""

    frames: Sequence[bytes]
    messages: int
    completes: bool


class Cohort:
    """The live subscribers of one interest."""

    __slots__ = (
        "_completed",
        "_form",
        "_frames",
        "_is_plain",
        "_last",
        "_messages",
        "_prefix",
        "_shown_topics",
        "interest",
        "members",
    )

    def __init__(self, interest: Interest) -> None:
        self.interest = interest
        self.members: dict[Member, Push] = {}
        self._form = _form(interest.dialect, interest.view)
        self._prefix = interest.dialect.prefix(interest.tag)
        self._is_plain = interest.selection.is_plain
        self._frames: list[bytes] = []
        self._messages = 0
        self._last: Position | None = None
        self._completed = False
        self._shown_topics: dict[str, bool] = {}

    def stage(self, event: Event, bodies: Bodies) -> bool:
        """Frame `event` if it is of interest; True if the cohort now has something to flush.

        An event that two of the selection's patterns match is offered twice, and taken once.
        """
        if self._completed or event.position == self._last:
            return bool(self._frames)
        self._last = event.position
        if self._shows(event):
            form = self._form
            body = bodies.get(form)
            if body is None:
                body = bodies[form] = form.body(event)
            self._frames += (form.header(len(self._prefix) + len(body)), self._prefix, body)
            self._messages += 1
        interest = self.interest
        if event.topic == interest.completes_on and interest.completed_by(event):
            self._frames.append(interest.dialect.message(Stopped(interest.tag)))
            self._messages += 1
            self._completed = True
        return bool(self._frames)

    def flush(self, before: Position) -> Iterator[Slice]:
        """Hand every member of this moment what is staged, slice by slice.

        `before` is the head before this step.
        """
        return self._slices(self._taken(), list(self.members), before)

    def flush_at_once(self, before: Position) -> Slice:
        """The same as one slice, in this very step: for few members, to whom it comes cheaper."""
        staged = self._taken()
        joined, recipients = b"".join(staged.frames), list(self.members)
        return (SEND_BYTES + len(joined)) * len(recipients), self._hand_out(
            staged, joined, recipients, before
        )

    def _taken(self) -> _Staged:
        staged = _Staged(self._frames, self._messages, self._completed)
        self._frames, self._messages, self._completed = [], 0, False
        return staged

    def _slices(self, staged: _Staged, recipients: Sequence[Member], before: Position) -> Iterator[Slice]:
        joined = b"".join(staged.frames)
        cost = SEND_BYTES + len(joined)
        length = max(1, SLICE_BYTES // cost)
        for start in range(0, len(recipients), length):
            addressed = recipients[start : start + length]
            given = self._hand_out(staged, joined, addressed, before)
            yield cost * len(addressed), given

    def _hand_out(
        self, staged: _Staged, joined: bytes, recipients: Sequence[Member], before: Position
    ) -> int:
        """Give `joined` to those of `recipients` that are members still; how many messages that made."""
        members, completes = self.members, staged.completes
        takers = 0
        for member in recipients:
            push = members.get(member)
            if push is None:  # it has left meanwhile
                continue
            if push(joined):
                takers += 1
                if completes:
                    del members[member]
                    member.complete()
            else:
                del members[member]
                member.fall_behind(before)
        return takers * staged.messages

    def _shows(self, event: Event) -> bool:
        """Whether the selection chooses `event`, whose key the route has matched already."""
        shown = self._shown_topics.get(event.topic)
        if shown is None:
            if len(self._shown_topics) >= MAX_REMEMBERED_TOPICS:
                self._shown_topics.clear()
            shown = self._shown_topics[event.topic] = self.interest.selection.covers(event.topic)
        return shown and (self._is_plain or self.interest.selection.admits(event))
