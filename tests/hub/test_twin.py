"""The fast path and its slow twin give every socket the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub.hub.cohort import Cohort, Interest
from adohub.hub.twin import SlowCohort, data_message
from adohub.model import Event
from adohub.topics import Selection
from adohub.wire.dialect import JSON_FRAMES
from adohub.wire.encode import View, data_prefix
from adohub.wire.frame import text_frame
from adohub.wire.messages import RequestId, Tag
from tests.hub.making import Recorder, at, at_once, event, interest

patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no fault."""

EVERY_KIND_OF_ID: list[RequestId] = [0, 1, -7, 2**53, 1.5, "", "1", "a-b", 'ä"\\\n', "\U0001f600"]
BORDERS = [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537]
"""Lengths at which a frame's header changes, and their neighbours (RFC 6455, section 5.2)."""

happenings = st.lists(
    st.tuples(
        st.sampled_from(["a.x", "a.y", "b", "end"]),
        st.sampled_from([None, "k", "ä"]),
        st.dictionaries(
            st.sampled_from(["color", "text"]),
            st.text(max_size=300) | st.integers(0, 9) | st.none(),
            max_size=2,
        ),
    ),
    max_size=8,
)
views = st.builds(View, st.booleans(), st.booleans())
interests = st.builds(
    Interest,
    st.builds(
        Selection,
        st.sampled_from([["a.*"], ["a.x", "b"], ["**"], ["a.x", "a.*"]]),
        where=st.sampled_from([(), (("color", "red"),)]),
        visible=st.sampled_from([None, ("a.**", "end")]),
    ),
    views,
    st.sampled_from([None, "end", "a.x"]),
    st.builds(Tag, st.sampled_from(EVERY_KIND_OF_ID) | st.floats(0, 1e9), st.booleans()),
)


def handed_out(cohort: Cohort, events: list[Event], members: int = 1) -> list[tuple[bytes, int]]:
    """What each member of `cohort` has been given of `events`, and how often it was told that it is over."""
    recorders = [Recorder() for _ in range(members)]
    cohort.members = {recorder: recorder.push for recorder in recorders}
    staged = [cohort.stage(one, {}) for one in events]
    if any(staged):
        at_once(cohort.flush(at(0)))
    return [(b"".join(recorder.pushed), recorder.completions) for recorder in recorders]


@patiently
@given(interests, happenings)
def test_both_give_the_same_bytes(
    wanted: Interest, happened: list[tuple[str, str | None, dict[str, str]]]
) -> None:
    events = [
        event(number, topic, key, **payload) for number, (topic, key, payload) in enumerate(happened, 1)
    ]
    twice = [one for one in events for _ in range(2)]  # as if two patterns matched
    slow = handed_out(SlowCohort(wanted), twice, members=3)
    assert handed_out(Cohort(wanted), twice, members=3) == slow


@pytest.mark.parametrize("id_", EVERY_KIND_OF_ID, ids=repr)
@pytest.mark.parametrize("length", BORDERS)
@pytest.mark.parametrize(
    "view", [View(), View(whole=True), View(tracked=True), View(whole=True, tracked=True)]
)
def test_both_give_the_same_bytes_where_frame_headers_change(id_: RequestId, length: int, view: View) -> None:
    """`length` is that of the whole message, or of the text in it where a message cannot be so short."""
    wanted = interest("a.x", id_=id_, view=view)
    overhead = len(data_message(event(1, "a.x", text=""), view, wanted.tag))
    events = [event(1, "a.x", text="x" * (length if length < overhead else length - overhead))]
    [(fast, _)] = handed_out(Cohort(wanted), events)
    [(slow, _)] = handed_out(SlowCohort(wanted), events)
    assert fast == slow
    if length >= overhead:
        assert len(fast) == length + (2 if length < 126 else 4 if length < 65_536 else 10)


@patiently
@given(views, st.builds(Tag, st.sampled_from(EVERY_KIND_OF_ID), st.booleans()), st.text())
def test_the_halves_of_a_message_are_the_whole(view: View, tag: Tag, text: str) -> None:
    """What a cursor replays is made of the same halves."""
    one = event(1, "a.x", "k", text=text)
    assert data_prefix(tag) + JSON_FRAMES.body(one, view) == data_message(one, view, tag)


def test_a_member_without_room_falls_behind_at_the_first_event_it_was_not_given() -> None:
    class Small(Recorder):
        def push(self, frames: bytes) -> bool:
            self.full = len(self.pushed) == 2
            return super().push(frames)

    small, quick = Small(), Recorder()
    cohort = SlowCohort(interest("a.x"))
    cohort.members = {small: small.push, quick: quick.push}
    for number in (1, 2, 3, 4):
        cohort.stage(event(number, "a.x"), {})
    at_once(cohort.flush(at(0)))
    assert (len(small.pushed), small.behind, len(quick.pushed)) == (2, [at(2)], 4)
    assert list(cohort.members) == [quick]
    assert quick.pushed == [text_frame(data_message(event(n, "a.x"), View(), Tag(1))) for n in (1, 2, 3, 4)]
