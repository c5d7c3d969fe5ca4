"""What is noted about what is shown of an event: by its payload's type, and by who published it.

Law: a type says where its values hold times and octets, whoever published them and whenever; where the type
leaves it open, the notes that came with the payload say it.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from attrs import frozen

from adohub.model import Event
from adohub.notes import Notes, below, from_bytes
from adohub.structuring import Marks
from adohub.wire.encode import View


@frozen(eq=False)
class Noting:
    """`marks`: those of topics whose payloads have something to note, by topic."""

    marks: Mapping[str, Marks]

    def shown(self, event: Event, view: View) -> Notes:
        """The notes of what `view` shows of `event`, as `{id, data}` where it is tracked."""
        notes = from_bytes(event.notes)
        marks = self.marks.get(event.topic)
        if marks is not None:
            notes += marks.find(orjson.loads(event.body))
        if view.whole:
            notes = (*below(notes, "payload"), (("timestamp",), "Date"))
        return below(notes, "data") if view.tracked else notes
