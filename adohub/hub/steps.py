"""What each step of `adohub.hub.roll` is: a change of the record, and the announcement that belongs to it.

Both are one append, the change last; it alone is conditional. So an announcement belongs only to a step from
a record that has no other next step, and its idempotency key is made of that record's position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import evolve, frozen

from adohub.hub.attendance import Attendance
from adohub.hub.intake import Intake
from adohub.hub.roll import Entry
from adohub.model import Draft, Position, now, timestamp
from adohub.plugin.contracts import Change, PublishRequest
from adohub.plugin.presence import Presence, Present

AUTHOR = "hub:presence"
"""Whose the records and announcements are. One for all hubs: they repeat each other's steps."""

NEVER = -2
"""A revision that no key ever has."""


@frozen
class Step:
    """From one record of a key to the next one, which is the last of `drafts`."""

    drafts: Sequence[Draft]
    record: Present


@frozen
class Steps:
    """Makes the steps that the hub `instance` takes. All of them raise PeerError for what may not be kept."""

    presence: Presence
    intake: Intake
    instance: str

    def arriving(self, attendance: Attendance, newest: Position) -> Step:
        """There is no record of its key."""
        return self._changed(
            0,
            Present(
                attendance.key,
                attendance.about,
                now(),
                "arriving",
                self.instance,
                attendance.ticket,
                str(newest),
            ),
        )

    def taking_over(self, entry: Entry, attendance: Attendance, after: Position | str) -> Step:
        """Somebody is present under its key, and had been given everything up to `after`."""
        successor = evolve(
            entry.record,
            about=attendance.about,
            phase="here",
            hub=self.instance,
            ticket=attendance.ticket,
            after=str(after),
        )
        return self._changed(entry.position.offset, successor)

    def handing_over(self, entry: Entry, given: Position) -> Step:
        """Another hub has taken over who has been given everything up to `given` here."""
        return self._changed(entry.position.offset, evolve(entry.record, after=str(given)))

    def going_away(self, entry: Entry, given: Position | None) -> Step:
        """Its subscription has ended, once it had been given everything up to `given`, if that is known."""
        after = entry.record.after if given is None else str(given)
        return self._changed(entry.position.offset, evolve(entry.record, phase="away", after=after))

    def left(self, entry: Entry) -> Step:
        """The grace is over."""
        return self._changed(entry.position.offset, evolve(entry.record, phase="left", hub=self.instance))

    def settling(self, entry: Entry) -> Step:
        """Announce what a record is waiting for."""
        if entry.record.phase == "arriving":
            return self._announced(entry, "added", evolve(entry.record, phase="here"))
        return self._announced(entry, "removed", evolve(entry.record, phase="gone", about=None))

    def question(self, key: str) -> Draft:
        """What storage refuses with the position of the record that there is."""
        return Draft(self.presence.topic, key, b"null", timestamp(now()), AUTHOR, if_revision=NEVER)

    def _announced(self, entry: Entry, what: Literal["added", "removed"], record: Present) -> Step:
        topic, payload = self.presence.announce(entry.record, what)
        draft = self.intake.draft(PublishRequest(topic, payload, f"{what}:{entry.position}"), AUTHOR)
        changed = self._changed(entry.position.offset, record)
        return Step([draft, *changed.drafts], record)

    def _changed(self, if_revision: int, record: Present) -> Step:
        is_last = record.phase == "gone"
        change = Change(self.presence.topic, record, deletes=is_last, if_revision=if_revision)
        return Step([self.intake.change(change, AUTHOR)], record)
