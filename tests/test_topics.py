"""Patterns choose the topics that a naive reading of them would, and selections choose by all their parts."""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adohub.model import Event, Position
from adohub.topics import MAX_TOPIC_CHARS, Selection, is_pattern, is_topic, is_wild, matches

patiently = settings(deadline=None)

# Few segments, so that patterns and topics meet; "a_b" and "a-" look like parts of expressions.
segments = st.sampled_from(["a", "b", "ab", "a_b", "a-", "0"])
topics = st.lists(segments, min_size=1, max_size=4).map(".".join)
fixed_patterns = st.lists(segments | st.just("*"), min_size=1, max_size=4)
patterns = st.one_of(
    st.just("**"),
    fixed_patterns.map(".".join),
    fixed_patterns.map(lambda parts: ".".join([*parts, "**"])),
)


def naively(pattern: Sequence[str], topic: Sequence[str]) -> bool:
    """Segment by segment: `*` is any one, `**` any rest."""
    if not pattern:
        return not topic
    if pattern[0] == "**":
        return True
    return bool(topic) and pattern[0] in ("*", topic[0]) and naively(pattern[1:], topic[1:])


# ── names ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["a", "0", "task.progress", "a-b.c_d", "a" * MAX_TOPIC_CHARS])
def test_dotted_lower_case_is_a_topic_and_a_pattern(name: str) -> None:
    assert is_topic(name)
    assert is_pattern(name)
    assert not is_wild(name)


@pytest.mark.parametrize("name", ["*", "**", "a.*", "*.a", "a.**", "*.**", "a.*.b.**"])
def test_stars_make_a_pattern_that_is_no_topic(name: str) -> None:
    assert is_pattern(name)
    assert is_wild(name)
    assert not is_topic(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "a.", ".a", "a..b", "A", "a b", "a\n", "\na", "-a", "_a", "ä", "a/b", "\u0660", "a" * 201),
        *("***", "a*", "*a", "a**", "**.a", "a.**.b", "**.**", "*.", "a.***", "a.*" * 70),
    ],
)
def test_anything_else_is_neither(name: str) -> None:
    assert not is_topic(name)
    assert not is_pattern(name)


@patiently
@given(st.text(max_size=30))
def test_any_text_can_be_asked_about(text: str) -> None:
    assert is_pattern(text) or not is_topic(text)


# ── matching ─────────────────────────────────────────────────────────────────────────────────────────


@patiently
@given(patterns, topics)
@example("task.**", "task")
@example("**", "a")
@example("*.**", "a")
@example("a.*", "a")
@example("*", "a.b")
def test_a_pattern_chooses_what_a_naive_reading_would(pattern: str, topic: str) -> None:
    assert is_pattern(pattern)
    assert is_topic(topic)
    assert matches(pattern, topic) is naively(pattern.split("."), topic.split("."))


@patiently
@given(topics, topics)
def test_a_topic_chooses_itself_alone(one: str, other: str) -> None:
    assert matches(one, other) is (one == other)


@patiently
@given(topics)
def test_two_stars_choose_everything(topic: str) -> None:
    assert matches("**", topic)


# ── selections ───────────────────────────────────────────────────────────────────────────────────────


def event(topic: str = "agent.output", key: str | None = "t1", **payload: object) -> Event:
    return Event(Position("e", 1), topic, key, json.dumps(payload).encode(), "2026-01-02T03:04:05.678Z")


@patiently
@given(
    st.lists(patterns, max_size=3),
    st.sampled_from([None, "t1", ""]),
    st.lists(st.tuples(st.sampled_from(["agentId", "type"]), st.sampled_from(["x", "y"])), max_size=2),
    st.none() | st.lists(patterns, max_size=2),
    topics,
    st.sampled_from([None, "t1", ""]),
    st.dictionaries(st.sampled_from(["agentId", "type"]), st.sampled_from(["x", "y", 1, None])),
)
def test_a_selection_chooses_by_all_its_parts(
    chosen: list[str],
    key: str | None,
    where: list[tuple[str, str]],
    visible: list[str] | None,
    topic: str,
    of: str | None,
    payload: dict[str, object],
) -> None:
    selection = Selection(chosen, key, where, visible)
    covers = any(matches(one, topic) for one in chosen) and (
        visible is None or any(matches(one, topic) for one in visible)
    )
    admits = all(payload.get(name) == value for name, value in where)
    given_event = event(topic, of, **payload)
    assert selection.covers(topic) is covers
    assert selection.admits(given_event) is admits
    assert selection.chooses(given_event) is (covers and admits and key in (None, of))


@patiently
@given(
    st.builds(
        Selection,
        st.lists(patterns, max_size=3),
        key=st.sampled_from([None, "t1", ""]),
        where=st.sampled_from([(), (("agentId", "x"),)]),
        visible=st.none() | st.lists(patterns, max_size=2),
        prefix=st.sampled_from([None, "", "t"]),
        permits=st.sampled_from([None, lambda topic, key: key == "t1"]),
    ),
    st.lists(
        st.builds(event, topics, st.sampled_from([None, "t1", "x", ""]), agentId=st.sampled_from(["x", 1])),
        max_size=6,
    ),
)
def test_choosing_of_many_is_choosing_one_by_one(selection: Selection, events: list[Event]) -> None:
    assert selection.choose(events) == [one for one in events if selection.chooses(one)]


def test_equal_selections_can_be_looked_up_as_one() -> None:
    one = Selection(["a.b"], "k", [("agentId", "x")], ["**"])
    same = Selection(("a.b",), "k", (("agentId", "x"),), ("**",))
    assert one == same
    assert len({one, same}) == 1
    assert one != attrs.evolve(one, key=None)


def test_a_topic_asked_for_twice_is_asked_for_once() -> None:
    assert Selection(["b", "a", "b"]) == Selection(["b", "a"])
    assert Selection(["b", "a"]).topics == ("b", "a")


def test_an_empty_view_shows_nothing_and_none_shows_all() -> None:
    assert not Selection(["**"], visible=[]).covers("a")
    assert Selection(["**"], visible=None).covers("a")


def test_a_selection_is_exact_if_it_names_its_topics() -> None:
    assert Selection(["a.b", "c"]).is_exact
    assert not Selection(["a.b", "c.*"]).is_exact


def test_patterns_come_as_a_list_and_not_as_one_text() -> None:
    for topics, visible in (("task.**", None), (["a"], "task.**")):
        with pytest.raises(ValueError, match="expected a list of texts"):
            Selection(topics, visible=visible)
