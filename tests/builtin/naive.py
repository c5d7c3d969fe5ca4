"""What storage promises, in plain Python: all events are looked at for every answer, and none is let go of
but for good reason. Where the contract leaves a choice, the choice is the sqlite engine's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field

from adohub import EXISTS, Draft, Event, Position, Rejection, Selection, StorageSettings
from adohub.testing.storage.words import chosen

Place = tuple[str, str | None]


@define
class NaiveStorage:
    """Every event there has been, in order; the n-th has offset n. `moment` is the time."""

    epoch: str
    settings: StorageSettings
    moment: float
    events: list[Event] = field(factory=list)
    arrived_at: list[float] = field(factory=list)
    gone_at: dict[int, float] = field(factory=dict)
    """Of the newest event of each key that has ended: from when it is not shown any more."""
    lost: set[int] = field(factory=set)
    """The newest of their keys that were too many beyond history."""

    # ── append ───────────────────────────────────────────────────────────────────────────────────────

    def append(self, drafts: Iterable[Draft]) -> list[tuple[int, Rejection]]:
        """What the receipts say."""
        return [self._keep(draft) for draft in drafts]

    def _keep(self, draft: Draft) -> tuple[int, Rejection]:
        revision = self.revision(draft.topic, draft.key)
        rejection = self._rejection(draft, revision)
        if rejection:
            return revision, rejection
        offset = self.head + 1
        self.events.append(
            Event(
                Position(self.epoch, offset), draft.topic, draft.key, draft.body, draft.timestamp, draft.notes
            )
        )
        self.arrived_at.append(self.moment)
        newest = self.newest()
        for topic in draft.ends:
            ended = newest.get((topic, draft.key))
            if ended is not None:
                self.gone_at.setdefault(ended.position.offset, self.moment + self.settings.ended_s)
        return offset, ""

    def _rejection(self, draft: Draft, revision: int) -> Rejection:
        if draft.if_revision == EXISTS and not revision:
            return "revision"
        if draft.if_revision not in (None, EXISTS, revision):
            return "revision"
        most = self.settings.state_keys.get(draft.topic)
        live = [topic for topic, key in self.newest() if topic == draft.topic and self.revision(topic, key)]
        return "full" if most is not None and not revision and len(live) >= most else ""

    def revision(self, topic: str, key: str | None) -> int:
        """The offset of the newest of a place; 0 if there is none, or it has ended."""
        newest = self.newest().get((topic, key))
        return 0 if newest is None or newest.position.offset in self.gone_at else newest.position.offset

    # ── limits ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def head(self) -> int:
        return len(self.events)

    @property
    def tail(self) -> int:
        oldest = self.moment - self.settings.max_age_s
        expired = sum(arrived <= oldest for arrived in self.arrived_at)
        return max(0, expired, self.head - self.settings.max_events)

    def tidy(self) -> None:
        """Lose the oldest newest events beyond history that are too many; live state is never too much."""
        beyond = [
            event.position.offset
            for event in self.newest().values()
            if event.position.offset <= self.tail
            and self._is_shown(event)
            and (event.position.offset in self.gone_at or event.topic not in self.settings.state_keys)
        ]
        self.lost.update(sorted(beyond, reverse=True)[self.settings.max_events :])

    # ── read ─────────────────────────────────────────────────────────────────────────────────────────

    def newest(self) -> dict[Place, Event]:
        """The last of each place."""
        found = {(event.topic, event.key): event for event in self.events}
        return {place: event for place, event in found.items() if event.position.offset not in self.lost}

    def _is_shown(self, event: Event) -> bool:
        return self.gone_at.get(event.position.offset, self.moment + 1) > self.moment

    def read(self, selection: Selection, after: int) -> list[Event]:
        """Every chosen event of history after that offset."""
        return chosen_by(selection, self.events[max(self.tail, after) :])

    def latest(self, selection: Selection) -> list[Event]:
        """The newest chosen event of each place: the newest of all, or else one that history has."""
        asks_for_one_key = selection.is_exact and selection.key is not None
        found: list[Event] = []
        for place, newest in self.newest().items():
            if self._is_shown(newest) or (asks_for_one_key and newest.position.offset > self.tail):
                history = [event for event in self.events[self.tail :] if (event.topic, event.key) == place]
                found += chosen_by(selection, [*history, newest])[-1:]
        return sorted(found, key=lambda event: event.position)

    def ended(self, events: Iterable[Event]) -> set[Position]:
        """Which of `events` are the newest of keys that have ended."""
        newest = {event.position for event in self.newest().values()}
        return {event.position for event in events if event.position.offset in self.gone_at} & newest


def chosen_by(selection: Selection, events: Sequence[Event]) -> list[Event]:
    """What `selection` means, its `prefix` and `permits` included."""
    return [
        event
        for event in chosen(selection, events)
        if (selection.prefix is None or (event.key or "")[: len(selection.prefix)] == selection.prefix)
        and (selection.permits is None or selection.permits(event.topic, event.key))
    ]
