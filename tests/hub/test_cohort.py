"""An interest says what must be read for it; a cohort's fast path gives the bytes of the slow one."""

from __future__ import annotations

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from adohub.hub.cohort import Cohort, Interest
from adohub.model import Event
from adohub.topics import Selection
from adohub.wire.encode import View, data_body, data_prefix, encode
from adohub.wire.frame import text_frame
from adohub.wire.messages import Stopped, Tag
from tests.hub.making import Recorder, at, at_once, event, interest

happenings = st.lists(
    st.tuples(
        st.sampled_from(["a.x", "a.y", "b", "end"]),
        st.sampled_from([None, "k", "ä"]),
        st.dictionaries(st.sampled_from(["color", "text"]), st.text(max_size=300), max_size=2),
    ),
    max_size=8,
)
interests = st.builds(
    Interest,
    st.builds(Selection, st.sampled_from([["a.*"], ["a.x", "b"], ["**"]])),
    st.builds(View, st.booleans(), st.booleans()),
    st.sampled_from([None, "end"]),
    st.builds(Tag, st.integers(0, 2**53) | st.text(max_size=5) | st.floats(0, 1e9), st.booleans()),
)


def slow_twin(interest: Interest, events: list[Event]) -> bytes:
    """The same, one encode and one frame for each message."""
    frames = b""
    for one in events:
        if interest.selection.chooses(one):
            frames += text_frame(data_prefix(interest.tag) + data_body(one, interest.view))
        if interest.completed_by(one):
            return frames + text_frame(encode(Stopped(interest.tag)))
    return frames


@given(interests, happenings)
def test_shared_frames_are_byte_for_byte_those_of_the_slow_twin(
    wanted: Interest, happened: list[tuple[str, str | None, dict[str, str]]]
) -> None:
    events = [
        event(number, topic, key, **payload) for number, (topic, key, payload) in enumerate(happened, 1)
    ]
    cohort = Cohort(wanted)
    recorder = Recorder()
    cohort.members[recorder] = recorder.push
    staged = [cohort.stage(one, {}) for one in events]
    if any(staged):
        at_once(cohort.flush(at(0)))
    assert b"".join(recorder.pushed) == slow_twin(wanted, events)


def test_an_interest_reads_what_it_shows_and_what_ends_it() -> None:
    reading = interest("a.x", key="k", completes_on="end", where=[("color", "red")]).reading
    assert reading == Selection(["a.x", "end"], key="k")
    assert interest("end", completes_on="end").reading.topics == ("end",)
    narrow = Interest(Selection(["**"], visible=["a.*"]), View(), "end", Tag(1)).reading
    assert (narrow.topics, narrow.visible) == (("**", "end"), ("a.*", "end"))


@pytest.mark.parametrize(
    ("key", "topic", "event_key", "ends"),
    [
        ("k", "end", "k", True),
        ("k", "end", "m", False),
        ("k", "end", None, False),
        ("k", "a.x", "k", False),
        (None, "end", "m", True),
        (None, "end", None, True),
    ],
)
def test_an_event_of_its_key_ends_an_interest(
    key: str | None, topic: str, event_key: str | None, ends: bool
) -> None:
    assert interest("a.x", key=key, completes_on="end").completed_by(event(1, topic, event_key)) is ends


def test_interests_with_equal_bytes_are_equal() -> None:
    assert interest("a.x", key="k") == interest("a.x", key="k")
    assert (
        len({interest("a.x"), interest("a.x", key="k"), interest("a.x", id_=2), interest("a.x", id_="1")})
        == 4
    )


async def test_staging_and_flushing_never_checkpoint() -> None:
    cohort = Cohort(interest("a.x", completes_on="end"))
    recorder, full = Recorder(), Recorder()
    full.full = True
    cohort.members = {recorder: recorder.push, full: full.push}
    with trio.testing.assert_no_checkpoints():
        cohort.stage(event(1, "a.x"), {})
        cohort.stage(event(2, "end"), {})
        at_once(cohort.flush(at(0)))
    assert (recorder.completions, full.behind, cohort.members) == (1, [at(0)], {})
