"""`events.*` and `stream.onEvent`: shapes of the contract, limits, and refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adohub import Call
from adohub.builtin import events
from adohub.builtin.events import DEFAULT_HISTORY_EVENTS, MOST_PATTERNS, EventsConfig
from adohub.errors import PeerError
from adohub.notes import below, gathered, noted, notes_of
from tests.builtin.socketless import OWNER, Refused, Running

NOON = "2026-01-02T12:00:00.000Z"


def system(number: int) -> dict[str, Any]:
    payload = {"type": "provider.status", "payload": number, "timestamp": NOON}
    return {"topic": "system.provider.status", "payload": payload}


def progress(task: str) -> dict[str, Any]:
    payload = {"taskId": task, "phase": "spec", "progress": 1, "message": "", "timestamp": NOON}
    return {"topic": "task.progress", "payload": payload}


def whole(event_id: str, event: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    return {"id": event_id, "key": key, "timestamp": NOON, **event}


async def refused(hub: Running, path: str, input: object) -> str:
    with pytest.raises(Refused) as refusal:
        await (hub.query if path == "events.history" else hub.call)(path, input)
    code, message = refusal.value.args
    assert code == "BAD_REQUEST"
    return str(message)


# ── publishing ───────────────────────────────────────────────────────────────────────────────────────


async def test_publish_answers_id_and_timestamp(hub: Running) -> None:
    answer = await hub.call("events.publish", system(1))
    assert set(answer) == {"id", "timestamp"}
    assert answer["timestamp"] == NOON
    undated = {"topic": "task.completed"} | {
        "payload": {"taskId": "t", "status": "completed", "duration": 1, "artifacts": []}
    }
    filled = await hub.call("events.publish", undated)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", filled["timestamp"])


async def test_publish_many_answers_ids_in_order(hub: Running) -> None:
    answer = await hub.call("events.publishMany", {"events": [system(number) for number in range(5)]})
    assert set(answer) == {"ids"}
    found = await hub.query("events.history", {"topics": ["**"]})
    assert [event["id"] for event in found["events"]] == answer["ids"]


async def test_the_same_idempotency_key_acts_once_alone_or_among_many(hub: Running) -> None:
    once = system(1) | {"idempotencyKey": "k"}
    first = await hub.call("events.publish", once)
    assert await hub.call("events.publish", once) == first
    many = await hub.call("events.publishMany", {"events": [system(2), once]})
    assert many["ids"][1] == first["id"]
    found = await hub.query("events.history", {"topics": ["**"]})
    assert [event["payload"]["payload"] for event in found["events"]] == [1, 2]


async def test_many_are_kept_all_or_none(hub: Running) -> None:
    broken = {"events": [system(1), progress("t"), {"topic": "task.progress", "payload": {"progress": 101}}]}
    message = await refused(hub, "events.publishMany", broken)
    assert message.startswith("events[2]: taskId: required; ")
    assert "progress: expected at most 100, got 101" in message
    assert (await hub.query("events.history", {"topics": ["**"]}))["events"] == []


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ({}, "topic: required; payload: required"),
        ({"topic": 5, "payload": {}}, "topic: expected string, got 5"),
        (None, "topic: required; payload: required"),
        ("task.progress", 'expected object, got "task.progress"'),
        ({"topic": "task.progres", "payload": {}}, 'topic: no plugin declares "task.progres" (did you mean'),
        (system(1) | {"idempotencyKey": 5}, "idempotencyKey: expected string, got 5"),
        (system(1) | {"idempotencyKey": ""}, "idempotencyKey: expected 1 to 256 bytes"),
    ],
)
async def test_what_cannot_be_published(hub: Running, input: object, message: str) -> None:
    assert (await refused(hub, "events.publish", input)).startswith(message)


async def test_how_many_may_be_published_at_once(hub: Running) -> None:
    limits = f"events: expected 1 to {EventsConfig().max_events_at_once} events"
    none = await refused(hub, "events.publishMany", {"events": []})
    assert none == "events: expected at least 1 item, got []"
    too_many = {"events": [system(1)] * (EventsConfig().max_events_at_once + 1)}
    assert await refused(hub, "events.publishMany", too_many) == limits
    assert await refused(hub, "events.publishMany", {"events": [{}]}) == (
        "events[0].topic: required; events[0].payload: required"
    )


# ── looking back ─────────────────────────────────────────────────────────────────────────────────────


async def test_history_shows_whole_events_and_where_to_go_on(hub: Running) -> None:
    ids = [await hub.publish(**event) for event in (progress("t1"), system(1), progress("t2"))]
    events = [
        whole(ids[0], progress("t1"), "t1"),
        whole(ids[1], system(1)),
        whole(ids[2], progress("t2"), "t2"),
    ]
    everything = {"topics": ["**"]}
    assert await hub.query("events.history", everything) == {"events": events, "next": None}
    first = await hub.query("events.history", everything | {"limit": 2})
    assert first == {"events": events[:2], "next": ids[1]}
    rest = await hub.query("events.history", everything | {"limit": 2, "after": first["next"]})
    assert rest == {"events": events[2:], "next": None}
    keyed = await hub.query("events.history", {"topics": ["task.*"], "key": "t2"})
    assert keyed == {"events": events[2:], "next": None}


async def test_history_hands_on_what_json_cannot_say(hub: Running) -> None:
    payload = noted({"at": "2026-01-02", "ids": ["1"]}, [(("at",), "Date"), (("ids", 0), "bigint")])
    await hub.publish("system.worker.added", {"type": "worker.added", "payload": payload})
    await hub.publish(**system(1))
    call = Call(OWNER, hub.service)
    page = await events.history(events.HistoryInput(["**"]), call)
    assert gathered(page) == below(notes_of(payload), "events", 0, "payload", "payload")


async def test_history_has_a_usual_size(hub: Running) -> None:
    many = {"events": [system(number) for number in range(DEFAULT_HISTORY_EVENTS + 5)]}
    ids = (await hub.call("events.publishMany", many))["ids"]
    page = await hub.query("events.history", {"topics": ["**"]})
    assert (len(page["events"]), page["next"]) == (DEFAULT_HISTORY_EVENTS, ids[DEFAULT_HISTORY_EVENTS - 1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"topics": []}, "topics: expected at least 1 pattern"),
        (
            {"topics": ["a"] * (EventsConfig().max_patterns + 1)},
            f"topics: expected 1 to {EventsConfig().max_patterns} patterns",
        ),
        ({"topics": [*["a"] * MOST_PATTERNS, "%"]}, "topics: expected 1 to 64 patterns"),
        ({"topics": ["a.**.b"]}, 'topics: "a.**.b" is no topic pattern (like "task.*" or "agent.**")'),
        ({"topics": "task.*"}, 'topics: expected list, got "task.*"'),
        ({"topics": ["a", 5]}, "topics[1]: expected string, got 5"),
        ({}, "topics: required"),
        ({"topics": ["a"], "key": 5}, "key: expected string, got 5"),
    ],
)
async def test_what_cannot_be_looked_for(hub: Running, wrong: object, message: str) -> None:
    assert await refused(hub, "events.history", wrong) == message
    with pytest.raises(PeerError) as refusal:
        await hub.subscribe("stream.onEvent", wrong)
    assert refusal.value.message == message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limit": 0}, "limit: expected at least 1, got 0"),
        ({"limit": 1.5}, "limit: expected integer, got 1.5"),
        ({"after": 7}, "after: expected string, got 7"),
    ],
)
async def test_what_history_cannot_do(hub: Running, wrong: dict[str, object], message: str) -> None:
    assert await refused(hub, "events.history", {"topics": ["**"]} | wrong) == message


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────


async def test_on_event_shows_whole_events_of_any_pattern_each_once(hub: Running) -> None:
    before = await hub.publish(**system(0))
    watcher = await hub.subscribe("stream.onEvent", {"topics": ["task.*", "**", "task.*"]})
    keyed = await hub.subscribe("stream.onEvent", {"topics": ["task.*"], "key": "t2"})
    ids = [await hub.publish(**event) for event in (progress("t1"), system(1), progress("t2"))]
    events = [
        whole(ids[0], progress("t1"), "t1"),
        whole(ids[1], system(1)),
        whole(ids[2], progress("t2"), "t2"),
    ]
    assert watcher.data == events
    assert keyed.data == events[2:]
    replayed = await hub.subscribe("tracked.onEvent", {"topics": ["**"], "replay": "all"})
    assert [one["data"] for one in replayed.data] == [whole(before, system(0)), *events]
    assert [one["id"] for one in replayed.data] == [before, *ids]


async def test_on_event_resumes_exactly_after_an_id(hub: Running) -> None:
    ids = [await hub.publish(**system(number)) for number in range(4)]
    watcher = await hub.subscribe("stream.onEvent", {"topics": ["**"]}, last=ids[1])
    assert [event["id"] for event in watcher.data] == ids[2:]
    other = await hub.subscribe("stream.onEvent", {"topics": ["**"], "lastEventId": ids[2]})
    assert [event["id"] for event in other.data] == ids[3:]
