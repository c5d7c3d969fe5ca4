"""The roll knows the newest record of each key, whom nobody attends, and since when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve

from adohub.hub.roll import Roll
from adohub.model import Position
from adohub.plugin.presence import Phase, Present

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ANNA = Present("anna", None, NOON, "here", "a", "ticket-1", "e0-0000000000000000")
GRACE_S = 5.0


def at(offset: int, epoch: str = "e0") -> Position:
    return Position(epoch, offset)


def roll(*open_tickets: str) -> Roll:
    """That of hub "a", which knows all there is, besides which "b" lives."""
    made = Roll("a", open_tickets.__contains__)
    made.begin("e0")
    made.complete()
    made.look_around({"b"}, 0)
    return made


def due(roll: Roll, moment: float) -> list[str]:
    return [entry.record.key for entry in roll.due(moment, GRACE_S)]


def test_what_is_older_than_what_is_known_is_no_news() -> None:
    known = roll("ticket-1")
    assert known.put(at(2), ANNA, 0)
    assert not known.put(at(2), ANNA, 0)
    assert not known.put(at(1), evolve(ANNA, phase="away"), 0)
    assert known.present("anna") == [ANNA]


def test_what_is_of_another_epoch_is_no_news_and_a_new_epoch_begins_with_nothing() -> None:
    known = roll("ticket-1")
    known.put(at(2), ANNA, 0)
    assert not known.put(at(9, "e1"), ANNA, 0)
    known.begin("e1")
    assert not known.is_of("e1")
    known.complete()
    assert known.is_of("e1")
    assert known.present() == []


@pytest.mark.parametrize(
    ("phase", "is_present"),
    [("arriving", False), ("here", True), ("away", True), ("left", False), ("gone", False)],
)
def test_present_is_who_is_announced_and_not_being_announced_as_removed(
    phase: Phase, is_present: bool
) -> None:
    known = roll()
    known.put(at(1), evolve(ANNA, phase=phase), 0)
    assert bool(known.present("anna")) is is_present
    assert bool(known.present()) is is_present


def test_a_record_that_is_gone_is_struck_once_everybody_has_been_told() -> None:
    known = roll()
    known.put(at(3), evolve(ANNA, phase="gone"), 0)
    known.strike("anna", at(2))
    assert known.get("anna") is not None
    known.strike("anna", at(3))
    assert known.get("anna") is None


def test_it_is_not_struck_while_older_records_may_yet_be_told_of() -> None:
    known = Roll("a", [].__contains__)
    known.begin("e0")
    known.put(at(3), evolve(ANNA, phase="gone"), 0)
    known.strike("anna", at(3))
    assert not known.put(at(2), ANNA, 0)


def test_whom_a_subscription_attends_is_never_due() -> None:
    known = roll("ticket-1")
    known.put(at(1), ANNA, 0)
    assert due(known, 1000) == []


def test_the_end_of_a_subscription_is_written_down_at_once_and_the_rest_waits_for_the_grace() -> None:
    known = roll()
    known.put(at(1), ANNA, 10)
    assert due(known, 10) == ["anna"]
    known.put(at(2), evolve(ANNA, phase="away"), 11)
    assert (due(known, 14.9), due(known, 15)) == ([], ["anna"])
    assert known.next_due(12, GRACE_S) == 3


def test_another_hubs_people_are_due_once_it_has_been_dead_for_the_grace() -> None:
    known = roll()
    known.put(at(1), evolve(ANNA, hub="b"), 0)
    assert due(known, 1000) == []
    known.look_around(set(), 1000)
    assert (due(known, 1004.9), due(known, 1005)) == ([], ["anna"])
    known.look_around({"b"}, 1006)
    assert due(known, 2000) == []


@pytest.mark.parametrize("phase", ["arriving", "left"])
def test_what_a_dead_hub_left_half_done_is_due_at_once(phase: Phase) -> None:
    known = roll()
    known.put(at(1), evolve(ANNA, hub="dead", phase=phase), 0)
    assert due(known, 0) == ["anna"]


def test_who_was_taken_over_is_attended_and_later_has_a_grace_of_its_own() -> None:
    known = roll()
    known.put(at(1), evolve(ANNA, phase="away"), 0)
    known.put(at(2), evolve(ANNA, hub="b", ticket="ticket-2"), 4)
    known.look_around(set(), 100)
    assert (due(known, 104), due(known, 105)) == ([], ["anna"])
