"""The nouns: ids that read back and sort, timestamps as the wire has them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.model import Draft, Event, Position, Principal, from_fields, now, size_of, texts, timestamp
from adohub.notes import notes_of, to_bytes
from tests.wire import strategies as some

patiently = settings(deadline=None)

EVENT = Event(Position("e1", 255), "task.progress", "t1", b'{"taskId":"t1"}', "2026-01-02T03:04:05.678Z")

zones = st.none() | st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.builds(
    lambda moment, zone: moment.replace(tzinfo=zone),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001 - Hypothesis wants naive bounds
    zones,
)


# ── positions ────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_id_is_epoch_and_offset_in_fixed_width() -> None:
    assert str(Position("e1", 255)) == EVENT.id == "e1-00000000000000ff"


@patiently
@given(some.positions)
def test_an_event_id_reads_back(position: Position) -> None:
    assert Position.parse(str(position)) == position


@patiently
@given(some.positions, st.integers(0, 2**64 - 1))
def test_within_an_epoch_ids_sort_as_their_positions(position: Position, offset: int) -> None:
    other = position._replace(offset=offset)
    assert (position < other) is (str(position) < str(other))


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "e1", "e1-ff", "e1-00000000000000ff ", "e1-00000000000000ff\n", " e1-00000000000000ff"),
        *("-00000000000000ff", "E1-00000000000000ff", "e1-00000000000000FF", "e1-0000000000000x1f"),
        *("e1-000000000000000ff", "e_1-00000000000000ff", "e" * 33 + "-00000000000000ff"),
        *("é-00000000000000ff", "e1-0000000000000\u0660ff", "e1--0000000000000ff", "e1-+000000000000ff"),
    ],
)
def test_what_was_never_an_id_of_ours_is_none(text: str) -> None:
    assert Position.parse(text) is None


@patiently
@given(some.torn_texts)
def test_any_text_is_looked_at_calmly(text: str) -> None:
    position = Position.parse(text)
    assert position is None or str(position) == text


# ── timestamps ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05.000Z"),  # noqa: DTZ001 - taken as UTC
        (datetime(2026, 1, 2, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T23:00:00.000Z"),
        (datetime(7, 1, 2, tzinfo=UTC), "0007-01-02T00:00:00.000Z"),
    ],
)
def test_a_timestamp_is_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text


@patiently
@given(moments)
def test_a_timestamp_is_of_one_width_and_the_same_moment_cut_to_milliseconds(moment: datetime) -> None:
    text = timestamp(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    assert timedelta(0) <= aware - datetime.fromisoformat(text) < timedelta(milliseconds=1)


@patiently
@given(moments, moments)
def test_timestamps_sort_as_their_moments(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other], key=lambda moment: moment.replace(tzinfo=moment.tzinfo or UTC))
    assert timestamp(earlier) <= timestamp(later)


def test_now_is_utc() -> None:
    assert now().tzinfo is UTC


# ── events and principals ────────────────────────────────────────────────────────────────────────────


def test_a_payload_is_decoded_afresh_so_that_nobody_can_spoil_it() -> None:
    assert EVENT.payload == {"taskId": "t1"}
    assert EVENT.payload is not EVENT.payload


def test_a_payload_can_be_had_with_its_notes() -> None:
    notes = ((("at",), "Date"),)
    event = EVENT._replace(body=b'{"at":"2026-01-02"}', notes=to_bytes(notes))
    assert event.noted_payload == {"at": "2026-01-02"}
    assert notes_of(event.noted_payload) == notes
    assert notes_of(EVENT.noted_payload) == notes_of(event.payload) == ()


def test_notes_count_as_bytes_of_a_payload() -> None:
    draft = Draft("a", None, b"{}", "", notes=b'[null,"at",["Date"]]')
    assert size_of([draft, EVENT]) == 2 + 20 + len(EVENT.body)
    assert size_of([]) == 0


def test_payloads_are_kept_out_of_logs() -> None:
    draft = Draft("a.b", None, b'{"password":"x"}', EVENT.timestamp)
    assert "password" not in repr(draft)
    assert "taskId" not in repr(EVENT)


@pytest.mark.parametrize(
    ("noun", "attribute"),
    [
        (EVENT, "topic"),
        (Draft("a", None, b"{}", ""), "body"),
        (EVENT.position, "offset"),
        (Principal("p"), "roles"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nouns_are_frozen(noun: object, attribute: str) -> None:
    with pytest.raises(AttributeError):  # attrs' FrozenInstanceError is one
        setattr(noun, attribute, None)


def test_what_is_made_from_fields_is_what_a_call_makes() -> None:
    fields = (EVENT.position, "a.b", "k", b"{}", "now", b"[null]")
    made = from_fields(Event)(fields)
    assert (made, type(made), made.topic) == (Event(*fields), Event, "a.b")


def test_roles_are_a_list_of_texts_and_not_one_text() -> None:
    assert Principal("p", ["a", "b"]).roles == ("a", "b")
    assert texts(iter("ab")) == ("a", "b")
    with pytest.raises(ValueError, match="expected a list of texts"):
        Principal("p", "admin")
