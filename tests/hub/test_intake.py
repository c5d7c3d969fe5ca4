"""A payload is taken, keyed, dated and encoded; or refused, in words that name the field as the wire does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from attrs import frozen

from adohub.builtin.agents import AgentOutputEvent
from adohub.builtin.state import StateChange
from adohub.builtin.system import SystemEvent
from adohub.builtin.tasks import Artifact, TaskCompletedEvent, TaskProgressEvent
from adohub.config import Limits
from adohub.errors import PeerError
from adohub.hub import intake as intakes
from adohub.hub.intake import Intake
from adohub.model import Draft
from adohub.notes import MOST_NOTES, MOST_STEPS, Notes, from_bytes, noted, noted_text
from adohub.plugin.contracts import Change, PublishRequest, Topic


@frozen
class Plain:
    count: int


@frozen
class Numbered:
    room_number: int


TOPICS = {
    topic.name: topic
    for topic in (
        Topic("task.progress", TaskProgressEvent, key="taskId"),
        Topic("task.completed", TaskCompletedEvent, key="taskId"),
        Topic("agent.output", AgentOutputEvent, key="taskId"),
        Topic("system.worker.added", SystemEvent),
        Topic("plain.thing", Plain),
        Topic("hotel.room", Numbered, key="roomNumber"),
        Topic("deploy.release", key="env"),
        Topic("free.form"),
        Topic("free.short", max_bytes=60),
        Topic("state", StateChange, key="key", state_keys=10),
    )
}
STRICT = Intake(TOPICS, allow_undeclared=False)
OPEN = Intake(TOPICS, allow_undeclared=True)

PROGRESS: dict[str, Any] = {"taskId": "t1", "phase": "impl", "progress": 50, "message": "half"}


def draft(topic: str, payload: object, key: str | None = None, *, intake: Intake = STRICT) -> Draft:
    return intake.draft(PublishRequest(topic, payload, key), "ci")


def body(topic: str, payload: object) -> Any:
    return orjson.loads(draft(topic, payload).body)


def refusal(topic: str, payload: object, key: str | None = None, *, intake: Intake = STRICT) -> str:
    with pytest.raises(PeerError) as refused:
        draft(topic, payload, key, intake=intake)
    assert refused.value.code == "BAD_REQUEST"
    return refused.value.message


# ── what is taken ────────────────────────────────────────────────────────────────────────────────────


def test_a_draft_carries_topic_key_author_and_wire_form() -> None:
    made = draft("task.progress", PROGRESS | {"timestamp": "2026-01-02T03:04:05.678Z"}, "again")
    assert (made.topic, made.key, made.author, made.idempotency_key) == (
        "task.progress",
        "t1",
        "ci",
        "again",
    )
    assert made.timestamp == "2026-01-02T03:04:05.678Z"
    assert orjson.loads(made.body) == PROGRESS | {"timestamp": "2026-01-02T03:04:05.678Z"}


def test_a_missing_timestamp_is_filled_in_and_is_the_events() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = draft("task.progress", PROGRESS)
    shown = orjson.loads(made.body)["timestamp"]
    assert shown == made.timestamp
    assert before <= datetime.fromisoformat(shown) <= datetime.now(UTC)
    assert shown.endswith("Z")
    assert len(shown) == len("2026-01-02T03:04:05.678Z")


def test_a_timestamp_of_another_zone_is_told_in_utc() -> None:
    made = draft("task.progress", PROGRESS | {"timestamp": "2026-01-02T03:04:05.678912+02:00"})
    assert made.timestamp == orjson.loads(made.body)["timestamp"] == "2026-01-02T01:04:05.678Z"


def test_a_topic_without_a_timestamp_of_its_own_is_dated_by_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intakes, "now", lambda: datetime(2026, 1, 2, tzinfo=UTC))
    made = draft("plain.thing", {"count": 1})
    assert (made.timestamp, made.body) == ("2026-01-02T00:00:00.000Z", b'{"count":1}')


def test_an_instance_of_the_topics_class_is_taken_as_it_is() -> None:
    moment = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1)))
    made = draft("task.progress", TaskProgressEvent("t1", "impl", 50, "half", moment))
    assert (made.key, made.timestamp) == ("t1", "2026-01-02T02:00:00.000Z")
    assert orjson.loads(made.body) == PROGRESS | {"timestamp": "2026-01-02T02:00:00.000Z"}


def test_an_instance_for_a_topic_without_a_class_is_written_by_wire_names() -> None:
    assert body("free.form", Numbered(7)) == {"roomNumber": 7}


def test_optional_fields_that_are_not_there_are_left_out() -> None:
    artifacts: list[Any] = [{"name": "log"}, {"name": "pic", "mediaType": "image/png", "size": None}]
    payload = {"taskId": "t1", "status": "completed", "duration": 1.5, "artifacts": artifacts}
    assert body("task.completed", payload)["artifacts"] == [
        {"name": "log"},
        {"name": "pic", "mediaType": "image/png"},
    ]
    done = TaskCompletedEvent("t1", "failed", 3, [Artifact("log", uri="file:///log")])
    assert body("task.completed", done) == {
        "taskId": "t1",
        "status": "failed",
        "duration": 3,
        "artifacts": [{"name": "log", "uri": "file:///log"}],
    }


def test_unknown_fields_of_a_typed_payload_are_dropped_and_of_an_untyped_one_kept() -> None:
    assert body("plain.thing", {"count": 1, "extra": True}) == {"count": 1}
    assert body("free.form", {"any": [1, {"thing": None}]}) == {"any": [1, {"thing": None}]}


@pytest.mark.parametrize(("given", "key"), [("prod", "prod"), ("", ""), (7, "7"), (-1, "-1")])
def test_the_key_is_text_and_an_integer_becomes_one(given: object, key: str) -> None:
    assert draft("deploy.release", {"env": given}).key == key


def test_a_numeric_key_field_of_a_class() -> None:
    assert draft("hotel.room", {"roomNumber": 12}).key == "12"


def test_events_of_a_topic_without_key_have_none() -> None:
    assert draft("free.form", {"env": "prod"}).key is None


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


def test_every_bad_field_is_named_by_its_wire_name() -> None:
    assert refusal("task.progress", {"phase": "lunch", "progress": "x", "message": 3}) == (
        'taskId: required; phase: expected one of "spec", "impl", "test", "validate", got "lunch"; '
        'progress: expected number, got "x"; message: expected string, got 3'
    )


def test_progress_is_between_0_and_100() -> None:
    assert refusal("task.progress", PROGRESS | {"progress": 101}) == "progress: expected at most 100, got 101"
    assert refusal("task.progress", PROGRESS | {"progress": -1}) == "progress: expected at least 0, got -1"
    assert refusal("task.progress", PROGRESS | {"progress": True}) == "progress: expected number, got true"


def test_a_field_inside_a_list_is_named_by_its_path() -> None:
    payload = {
        "taskId": "t",
        "status": "completed",
        "duration": 1,
        "artifacts": [{"name": "a"}, {"size": 1.5}],
    }
    assert refusal("task.completed", payload) == (
        "artifacts[1].name: required; artifacts[1].size: expected integer, got 1.5"
    )


def test_a_bad_timestamp() -> None:
    assert refusal("task.progress", PROGRESS | {"timestamp": "yesterday"}) == (
        'timestamp: expected ISO 8601 time, got "yesterday"'
    )


@pytest.mark.parametrize("payload", [None, 1, "text", [], [{}]])
@pytest.mark.parametrize("topic", ["plain.thing", "free.form"])
def test_a_payload_is_an_object(topic: str, payload: object) -> None:
    shown = orjson.dumps(payload).decode()
    assert refusal(topic, payload) == f"expected object, got {shown}"


def test_an_instance_of_another_class_is_no_payload() -> None:
    assert refusal("plain.thing", Numbered(7)).startswith("expected object, got ")


def test_an_unknown_topic_is_refused_with_the_one_that_was_meant() -> None:
    assert refusal("task.progres", PROGRESS) == (
        'topic: no plugin declares "task.progres" (did you mean "task.progress"?)'
    )
    assert refusal("zzz", PROGRESS) == 'topic: no plugin declares "zzz"'


@pytest.mark.parametrize("name", ["", "Task.Progress", "task..progress", "task.*", "task.", "a b"])
@pytest.mark.parametrize("intake", [STRICT, OPEN])
def test_what_cannot_be_a_topic_is_refused_also_where_undeclared_ones_are_welcome(
    name: str, intake: Intake
) -> None:
    assert refusal(name, {}, intake=intake) == (
        f"topic: {name!r} is no topic name (dotted lower-case segments)"
    )


def test_undeclared_topics_take_any_object_and_have_no_key() -> None:
    made = draft("brand.new", {"taskId": "t1"}, intake=OPEN)
    assert (made.topic, made.key, made.body) == ("brand.new", None, b'{"taskId":"t1"}')
    assert refusal("brand.new", [1], intake=OPEN) == "expected object, got [1]"


def test_a_missing_or_strange_key_is_named() -> None:
    assert refusal("deploy.release", {}) == "env: required"
    assert refusal("deploy.release", {"env": None}) == "env: required"
    for strange in (True, 1.5, ["x"], {"a": 1}):
        assert refusal("deploy.release", {"env": strange}).startswith("env: expected string")


@pytest.mark.parametrize("key", ["", "x" * (Limits().max_id_bytes + 1)])
def test_idempotency_keys_have_a_length(key: str) -> None:
    assert refusal("free.form", {}, key) == "idempotencyKey: expected 1 to 256 bytes"


@pytest.mark.parametrize("key", [None, "x", "x" * Limits().max_id_bytes])
def test_an_idempotency_key_is_optional(key: str | None) -> None:
    assert draft("free.form", {}, key).idempotency_key == key


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


@pytest.mark.parametrize("depth", [300, 5000])
@pytest.mark.parametrize("topic", ["free.form", "system.worker.added"])
def test_a_payload_nested_too_deeply_is_refused(topic: str, depth: int) -> None:
    payload = nested(depth)
    if topic != "free.form":
        payload = {"type": "worker.added", "payload": payload}
    assert "payload" in refusal(topic, payload)


@pytest.mark.parametrize("value", [2**70, "\ud800", object(), {1: 2}, {"a", "b"}])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    assert refusal("free.form", {"x": value}).startswith("the payload cannot be written as JSON: ")


# ── what JSON cannot say ─────────────────────────────────────────────────────────────────────────────

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
MOMENT_TEXT = "2026-01-02T03:04:05.678Z"


def notes_of(topic: str, payload: object, *, intake: Intake = STRICT) -> Notes:
    return from_bytes(draft(topic, payload, intake=intake).notes)


@pytest.mark.parametrize("topic", ["free.form", "undeclared.topic"])
def test_notes_of_an_untyped_payload_are_kept_beside_it(topic: str) -> None:
    notes: Notes = ((("at",), "Date"), (("list", 0), "bigint"), (("gone",), "undefined"))
    payload = noted({"at": MOMENT_TEXT, "list": ["1"]}, notes)
    made = draft(topic, payload, intake=OPEN)
    assert orjson.loads(made.body) == {"at": MOMENT_TEXT, "list": ["1"]}
    assert dict(from_bytes(made.notes)) == dict(notes)


def test_of_a_typed_payload_those_are_kept_that_no_type_tells() -> None:
    payload = {"type": "worker.added", "payload": {"at": MOMENT_TEXT}, "timestamp": MOMENT_TEXT, "more": "x"}
    notes = [(("payload", "at"), "Date"), (("timestamp",), "Date"), (("more",), "Date")]
    made = draft("system.worker.added", noted(payload, notes))
    assert from_bytes(made.notes) == ((("payload", "at"), "Date"),)
    assert made.timestamp == MOMENT_TEXT
    typed = noted(PROGRESS | {"timestamp": MOMENT_TEXT}, [(("timestamp",), "Date"), (("message",), "bigint")])
    assert draft("task.progress", typed).notes == b""


def test_notes_of_noted_values_in_a_payload_of_ones_own_are_kept() -> None:
    value = noted({"at": [MOMENT_TEXT]}, [(("at", 0), "Date")])
    change = Change("state", {"op": "set", "key": "k", "value": value})
    assert from_bytes(STRICT.change(change, "ci").notes) == ((("value", "at", 0), "Date"),)
    event = SystemEvent("worker.added", value)
    assert notes_of("system.worker.added", event) == ((("payload", "at", 0), "Date"),)


def test_a_plain_payload_has_no_notes() -> None:
    for topic, payload in (("task.progress", PROGRESS), ("free.form", {"at": MOMENT_TEXT, "n": [1]})):
        assert draft(topic, payload).notes == b""


def test_times_and_octets_that_a_source_publishes_are_text_with_notes() -> None:
    payload = {"at": MOMENT, "seen": [{"by": b"\x00\x01"}, bytearray(b"\xff")], "n": 1}
    made = draft("free.form", payload)
    assert orjson.loads(made.body) == {"at": MOMENT_TEXT, "seen": [{"by": "AAE="}, "/w=="], "n": 1}
    assert dict(from_bytes(made.notes)) == {
        ("at",): "Date",
        ("seen", 0, "by"): "bytes",
        ("seen", 1): "bytes",
    }
    assert draft("free.form", {"day": MOMENT.date()}).notes == b""
    assert body("free.form", {"day": MOMENT.date()}) == {"day": "2026-01-02"}


def test_notes_count_as_a_part_of_the_payload() -> None:
    short = {"text": "x" * 40}
    assert draft("free.short", short)
    with pytest.raises(PeerError) as refused:
        draft("free.short", noted(short, [(("text",), "URL")]))
    assert refused.value.code == "PAYLOAD_TOO_LARGE"


def test_what_a_source_nests_too_deeply_or_is_too_much_is_refused() -> None:
    value: object = b""
    for _ in range(MOST_STEPS + 1):
        value = [value]
    assert refusal("free.form", {"x": value}) == "the payload is nested too deeply"
    many = refusal("free.form", {"x": [b""] * (MOST_NOTES + 1)})
    assert many == "the payload has more than 10000 values that JSON has no form for"


def test_a_noted_key_is_a_plain_text() -> None:
    made = draft("deploy.release", noted({"env": "prod"}, [(("env",), "URL")]))
    assert (made.key, type(made.key)) == ("prod", str)
    made = draft("deploy.release", {"env": noted_text("prod", "URL")})
    assert (made.key, type(made.key)) == ("prod", str)
