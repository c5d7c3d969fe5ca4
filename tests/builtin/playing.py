"""What may happen to a storage engine, drawn at random: what is appended, what time passes, what is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from attrs import frozen
from hypothesis import strategies as st

from adohub import EXISTS, Draft, Selection
from adohub.notes import Notes
from adohub.testing.storage import words
from adohub.testing.storage.words import draft

Revision = Literal["any", "right", "wrong", "none", "some"]


@frozen
class Wanted:
    """A draft, as far as it is known before its turn comes."""

    topic: str
    key: str | None
    color: str | None
    size: int
    ends: Sequence[str]
    revision: Revision
    is_noted: bool

    def draft(self, revision: Callable[[str, str | None], int]) -> Draft:
        """It, with a revision that is right or wrong just now; `revision` tells that of a topic and key."""
        now = revision(self.topic, self.key)
        revisions = {"any": None, "right": now, "wrong": now + 1, "none": 0, "some": EXISTS}
        payload: dict[str, Any] = {"color": self.color} if self.color else {}
        notes: Notes = ((("text",), "Date"),) if self.is_noted else ()
        one = draft(self.topic, self.key, ends=self.ends, notes=notes, text="x" * self.size, **payload)
        return one._replace(if_revision=revisions[self.revision])


Step = Sequence[Wanted] | float | Literal["tidy", "reopen"]
"""A batch to append, seconds that pass, or something that must change nothing but what is too much."""


@frozen
class Question:
    """What is asked in the end."""

    selection: Selection
    after: int
    limit: int


def neither_u_nor_k(topic: str, key: str | None) -> bool:
    """What someone may be permitted to see."""
    return topic != "u" and key != "k"


TOPICS = ["t.a", "t.b", "t.a.deep", "u", "state"]
texts = st.sampled_from(
    ["", "k", "km", "k\0", "k\0m", "k\ud7ff", "k\ue000", "k\U0010ffff", "\0", "\x1f", "\U0010ffff" * 2]
)
"""Among others the last code point of all, and the last before those that no text has."""
keys = st.just("k") | st.sampled_from([None, "k\0"]) | texts
topics = st.just("t.a") | st.sampled_from(TOPICS)
wanted = st.builds(
    Wanted,
    topics,
    keys,
    st.sampled_from([None, "red", "blue"]),
    st.sampled_from([0, 1, 400, 2000]),
    st.just(()) | st.lists(topics, max_size=2),
    st.sampled_from(["any", "any", "any", "right", "wrong", "none", "some"]),
    st.booleans(),
)
steps = st.lists(
    st.lists(wanted, min_size=1, max_size=8) | st.sampled_from([1.0, 4.0, "tidy", "reopen"]),
    min_size=3,
    max_size=16,
)
anything = st.builds(
    Selection,
    st.lists(st.sampled_from([*TOPICS, "t.*", "t.**", "**", "*.a", "nothing"]), min_size=1, max_size=3),
    key=st.none() | keys,
    where=st.sampled_from([(), (("color", "red"),)]),
    visible=st.sampled_from([None, ("t.**", "state"), ("t.a", "u"), ()]),
    prefix=st.none() | texts,
    permits=st.sampled_from([None, neither_u_nor_k]),
)
questions = st.lists(
    st.builds(Question, anything, st.integers(0, 40), st.integers(1, 7)), min_size=1, max_size=5
)
limits = st.builds(
    lambda max_events, state_keys: words.settings(
        max_events=max_events, max_age_s=10, ended_s=3, state_keys=state_keys
    ),
    st.integers(1, 12),
    st.integers(1, 3),
)
ALWAYS = [
    Question(Selection(topics, key=key, where=where), 0, limit)
    for topics in (["t.a"], ["u", "t.a", "state"])
    for key in ("k", "k\0", None)
    for where, limit in (((), 2), ((("color", "red"),), 3))
]
"""What is asked every time."""
