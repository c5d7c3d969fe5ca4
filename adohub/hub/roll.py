"""Who is present, as far as this hub knows: the records of one topic, and which of them nobody attends.

    arriving --announced--> here --its end--> away --the grace is over--> left --announced--> gone
                             |  ^              |
                             +--+- taken over -+

Law: storage decides. Each step is a change that is conditional on the record's revision, so of all who try it
one succeeds; and an announcement is made in one append with the step that it belongs to, under a key that is
made of the revision before. So whoever finds one half done does it again, and it is announced once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set

from attrs import define

from adohub.model import Position
from adohub.plugin.presence import Present


@define
class Entry:
    """A record and where it stands in the log."""

    position: Position
    record: Present


class Roll:
    """The newest record of each key, in the one epoch that it is of.

    `instance` is this hub's; `is_open(ticket)` tells which of its subscriptions there still are. A moment is
    a time in seconds.
    """

    def __init__(self, instance: str, is_open: Callable[[str], bool]) -> None:
        self._instance = instance
        self._is_open = is_open
        self._epoch: str | None = None
        self._is_complete = False
        self._entries: dict[str, Entry] = {}
        self._alive: Set[str] = frozenset({instance})
        self._absent: dict[str, tuple[str, float]] = {}
        """Of each key that nobody attends the ticket, and since when it has been seen to be so."""

    def is_of(self, epoch: str) -> bool:
        """Whether it has every record there is in this epoch."""
        return self._is_complete and self._epoch == epoch

    def begin(self, epoch: str) -> None:
        """Forget what was known in another epoch; from now on it is told of every change in this one."""
        if self._epoch != epoch:
            self._epoch, self._is_complete = epoch, False
            self._entries.clear()
            self._absent.clear()

    def complete(self) -> None:
        """It has been told of all that there was when it was begun."""
        self._is_complete = True

    def get(self, key: str) -> Entry | None:
        """What is known of `key`; its record may be gone, too."""
        return self._entries.get(key)

    def present(self, key: str | None = None) -> Sequence[Present]:
        """Who is present, or whether `key` is: announced, and not being announced as removed."""
        entries = self._entries.values() if key is None else filter(None, [self._entries.get(key)])
        return [entry.record for entry in entries if entry.record.phase in ("here", "away")]

    def put(self, position: Position, record: Present, moment: float) -> bool:
        """Note a record that storage has; whether it is news."""
        known = self._entries.get(record.key)
        if position.epoch != self._epoch or (known is not None and known.position >= position):
            return False
        self._entries[record.key] = Entry(position, record)
        self.look_at(record.key, moment)
        return True

    def strike(self, key: str, up_to: Position) -> None:
        """Everybody has been told up to there: let go of a record that is gone by then."""
        known = self._entries.get(key)
        if not self._is_complete:  # an older record may yet be told of
            return
        if known is not None and known.record.phase == "gone" and known.position <= up_to:
            del self._entries[key]

    def look_at(self, key: str, moment: float) -> None:
        """Find out whether anybody attends `key`."""
        known = self._entries.get(key)
        if known is None or known.record.phase == "gone" or self._is_attended(known.record):
            self._absent.pop(key, None)
        elif self._absent.get(key, ("", 0.0))[0] != known.record.ticket:
            self._absent[key] = (known.record.ticket, moment)

    def look_around(self, alive: Set[str], moment: float) -> None:
        """These hubs live now, besides this one."""
        alive = alive | {self._instance}
        if alive != self._alive:
            self._alive = alive
            for key in self._entries:
                self.look_at(key, moment)

    def _is_attended(self, record: Present) -> bool:
        return self._is_open(record.ticket) if self.is_ours(record) else record.hub in self._alive

    def is_ours(self, record: Present) -> bool:
        """Whether this hub answers for it."""
        return record.hub == self._instance

    def is_elsewhere(self, record: Present) -> bool:
        """Whether another hub answers for it, and lives."""
        return not self.is_ours(record) and record.hub in self._alive

    def due(self, moment: float, grace_s: float) -> Iterator[Entry]:
        """The records for which this hub has a step to take: it answers for them, or who did is dead."""
        for key, (_, since) in self._absent.items():
            entry = self._entries[key]
            is_unsaid = entry.record.phase == "here" and self.is_ours(entry.record)
            if entry.record.phase in ("arriving", "left") or is_unsaid or since + grace_s <= moment:
                yield entry

    def next_due(self, moment: float, grace_s: float) -> float:
        """In how many seconds the next grace is over; infinite if there is none."""
        ahead = (since + grace_s - moment for _, since in self._absent.values())
        return min((wait for wait in ahead if wait > 0), default=float("inf"))
