"""An interest says what must be read for it; its cohort is staged and flushed without a checkpoint."""

from __future__ import annotations

import pytest
import trio.testing

from adohub.hub.cohort import Cohort, Interest
from adohub.topics import Selection
from adohub.wire.encode import View
from adohub.wire.messages import Tag
from tests.hub.making import Recorder, at, at_once, event, interest


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
