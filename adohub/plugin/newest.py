"""The newest event of each (topic, key), which outlives history.

    absent --put--> kept --end--> ending --ended_s, or too many--> gone --out of history--> absent
                      ^             |                                |
                      +---------- put again -------------------------+

What is ending is still shown; what is gone is found by whoever asks for its very key, as long as history has
it. Both have no revision: the key may be made anew.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container, Iterator

from adohub.plugin.storage import Rejection, StorageSettings

Place = tuple[str, str | None]
"""Topic and key."""

Record = tuple[int, str, str | None, bytes, str, bytes]
"""An event as it is kept: offset, topic, key, body, timestamp, notes."""


class NewestOfKeys:
    """All of them, in the order of their offsets; those of state topics apart, since none of them may go."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._others: OrderedDict[Place, Record] = OrderedDict()
        self._state: dict[str, OrderedDict[Place, Record]] = {
            topic: OrderedDict() for topic in settings.state_keys
        }
        self._ending: OrderedDict[Place, float] = OrderedDict()
        """When each of them goes from sight, the first to go first."""
        self._gone: set[Place] = set()
        self._live: Counter[str] = Counter()
        """How many keys of each state topic there are that have not ended."""

    def __len__(self) -> int:
        return len(self._others) + sum(map(len, self._state.values()))

    def get(self, place: Place) -> Record | None:
        """The newest of `place`, ended or not."""
        return self._shelf(place).get(place)

    def shown(self) -> Iterator[Record]:
        """The newest of every place that is not gone."""
        for shelf in (self._others, *self._state.values()):
            yield from (record for place, record in shelf.items() if place not in self._gone)

    def ended(self) -> Iterator[int]:
        """The offset of the newest of every place that has ended."""
        for place in (*self._ending, *self._gone):
            yield self._shelf(place)[place][0]

    def is_gone(self, place: Place) -> bool:
        """Whether it has ended, and long enough ago."""
        return place in self._gone

    def revision(self, place: Place) -> int:
        """The offset of the newest of `place`; 0 if there is none, or it has ended."""
        record = self.get(place)
        return record[0] if record is not None and not self._has_ended(place) else 0

    def rejection(self, place: Place, if_revision: int | None) -> Rejection:
        """Why a conditional draft for `place`, or one of a state topic, is not to be kept."""
        return self._settings.rejection(place[0], if_revision, self.revision(place), self._live[place[0]])

    def put(self, place: Place, record: Record) -> None:
        """`record` is the newest of `place` now, which thereby has not ended."""
        shelf = self._shelf(place)
        if place[0] in self._state and (place not in shelf or self._has_ended(place)):
            self._live[place[0]] += 1
        shelf[place] = record
        shelf.move_to_end(place)
        if self._ending or self._gone:
            self._ending.pop(place, None)
            self._gone.discard(place)

    def end(self, place: Place, moment: float) -> None:
        """Nothing more is to come for `place`, if there is something: it goes after a while."""
        if place not in self._shelf(place) or self._has_ended(place):
            return
        self._ending[place] = moment + self._settings.ended_s
        if place[0] in self._state:
            self._live[place[0]] -= 1

    def let_go(self, moment: float, history: Container[Place]) -> None:
        """Let what has ended long enough go from sight, and what is too much go for good."""
        while self._ending:
            place, due = next(iter(self._ending.items()))
            if due > moment and len(self._ending) <= self._settings.max_events:
                break
            del self._ending[place]
            if place in history:
                self._gone.add(place)
            else:
                del self._shelf(place)[place]
        while len(self._others) > 2 * self._settings.max_events:  # half of them are beyond history
            place, _ = self._others.popitem(last=False)
            self._ending.pop(place, None)
            self._gone.discard(place)

    def left_history(self, place: Place) -> None:
        """History has let go of the last event of `place`."""
        if place in self._gone:
            self._gone.discard(place)
            del self._shelf(place)[place]

    def _has_ended(self, place: Place) -> bool:
        return place in self._ending or place in self._gone

    def _shelf(self, place: Place) -> OrderedDict[Place, Record]:
        return self._state.get(place[0], self._others)
