"""What an EventSource makes of the bytes, by the HTML standard's own steps."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adohub.model import Event, Position
from adohub.wire.dialect import PLAIN
from adohub.wire.encode import View
from adohub.wire.messages import Data, Failure, Ping, Reconnect, Started, Stopped, Tag
from adohub.wire.sse import ServerSentEvents, connected, retry
from tests.wire.event_source import EventSource

DIALECT = ServerSentEvents(PLAIN)
TAG = Tag(None)


def event(offset: int, **payload: object) -> Event:
    return Event(Position("e", offset), "a.b", "k", json.dumps(payload).encode(), "2026-01-02T03:04:05.678Z")


def streamed(events: Iterable[Event], view: View) -> bytes:
    parts = []
    for one in events:
        prefix, body = DIALECT.prefix(TAG), DIALECT.body(one, view)
        parts.append(DIALECT.header(len(prefix) + len(body)) + prefix + body)
    return b"".join(parts)


def test_plain_data_comes_bare_and_leaves_the_id_to_resume_from() -> None:
    source = EventSource().read(streamed([event(1, n=1), event(2, n=2)], View())).end()
    messages = [(json.loads(data), id_) for kind, data, id_ in source.dispatched if kind == "message"]
    assert messages == [({"n": 1}, ""), ({"n": 2}, "")]
    assert source.last_event_id == event(2).id
    assert {kind for kind, _, _ in source.dispatched} == {"message", "ping"}


def test_tracked_data_carries_its_id_and_is_not_wrapped() -> None:
    """@trpc/client makes `{id, data}` of it."""
    source = EventSource().read(streamed([event(1, n=1)], View(tracked=True))).end()
    assert source.dispatched == [("message", '{"n": 1}', event(1).id)]


def test_what_a_view_shows_is_shown() -> None:
    source = EventSource().read(streamed([event(3, n=1)], View(whole=True, revised=True))).end()
    whole = json.loads(source.dispatched[0][1])
    assert whole["payload"] == {"n": 1}
    assert (whole["id"], whole["revision"]) == (event(3).id, 3)


def test_a_snapshot_s_id_says_so() -> None:
    for tracked in (True, False):
        view = View(tracked=tracked, partial=True)
        assert EventSource().read(streamed([event(1)], view)).last_event_id == event(1).id + "-part"


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.booleans())
def test_no_payload_breaks_out_of_its_event(payload: dict[str, object], tracked: bool) -> None:
    one = Event(
        Position("e", 1), "a.b", None, json.dumps(payload, ensure_ascii=False).encode(errors="replace"), ""
    )
    source = EventSource().read(streamed([one, one], View(tracked=tracked))).end()
    shown = [json.loads(data) for kind, data, _ in source.dispatched if kind == "message"]
    assert shown == [json.loads(one.body)] * 2


def test_the_life_of_a_stream() -> None:
    shape = {
        "message": "no",
        "code": -32001,
        "data": {"code": "UNAUTHORIZED", "httpStatus": 401, "path": "a.b"},
    }
    stream = b"".join(
        (
            retry(1500),
            connected(),
            DIALECT.message(Ping()),
            DIALECT.message(Failure(TAG, "UNAUTHORIZED", "no", "a.b")),
            DIALECT.message(Stopped(TAG)),
        )
    )
    source = EventSource().read(stream).end()
    assert source.reconnection_ms == 1500
    kinds, texts, ids = zip(*source.dispatched, strict=True)
    assert kinds == ("connected", "ping", "serialized-error", "return")
    assert (texts[0], texts[1], texts[3], set(ids)) == ("{}", "", "", {""})
    assert json.loads(texts[2]) == shape


def test_a_stream_says_what_a_resume_has_missed_and_when_silence_is_death() -> None:
    source = EventSource().read(connected(recovered=False, inactivity_ms=35_000)).end()
    assert json.loads(source.dispatched[0][1]) == {"recovered": False, "reconnectAfterInactivityMs": 35_000}
    assert json.loads(EventSource().read(connected(recovered=True)).dispatched[0][1]) == {"recovered": True}


@pytest.mark.parametrize("message", [Data(TAG, b"1"), Reconnect(), Started(TAG)], ids=str)
def test_what_no_stream_says_is_a_mistake(message: Data | Reconnect | Started) -> None:
    with pytest.raises(TypeError):
        DIALECT.message(message)
