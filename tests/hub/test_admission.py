"""A subscription's input becomes what it is interested in, or a refusal that names every field."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import field, frozen

from adohub.config import Role
from adohub.errors import PeerError
from adohub.hub.admission import Admission, Entrance, entrances
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.model import Principal
from adohub.plugin.contracts import Channel, Topic
from adohub.plugin.registry import Contribution, Registry
from adohub.topics import Selection
from adohub.wire.dialect import JSON_FRAMES
from adohub.wire.encode import View
from adohub.wire.messages import ABSENT, Request, Tag

POLICY = Policy(
    {"reader": Role(subscribe=("task.*",))},
    (),
    {name: Topic(name) for name in ("task.progress", "agent.output")},
)
ANYBODY = Principal("ann", roles=[ALL_RIGHTS])
READER = Principal("rob", roles=["reader"])

PROGRESS = Channel(
    "stream.onTaskProgress",
    topics=["task.progress"],
    key="taskId",
    replay="last",
    completes_on="task.completed",
)
OUTPUT = Channel("stream.onAgentOutput", topics=["agent.output"], key="taskId", where=["agentId", "type"])
SYSTEM = Channel("stream.onSystemEvent", topics=["system.x"], on_slow="disconnect")


@frozen
class Wanted:
    topics: list[str] = field()
    room_number: int | None = None

    @topics.validator
    def _few(self, _: Any, value: list[str]) -> None:
        if len(value) > 2:
            raise ValueError("expected at most 2 patterns")


WILD = Channel(
    "stream.onEvent",
    input=Wanted,
    select=lambda wanted: Selection(wanted.topics, key=wanted.room_number and str(wanted.room_number)),
    whole=True,
)


def request(input: object, last_event_id: str | None = None) -> Request:
    return Request(Tag(7, jsonrpc=True), "subscription", "any", input, last_event_id)


def admitted(
    channel: Channel,
    input: object,
    *,
    last_event_id: str | None = None,
    tracked: bool = False,
    principal: Principal = ANYBODY,
) -> Admission:
    return Entrance(channel, tracked).admit(request(input, last_event_id), principal, POLICY, JSON_FRAMES)


def refusal(channel: Channel, input: object, principal: Principal = ANYBODY) -> str:
    with pytest.raises(PeerError) as refused:
        admitted(channel, input, principal=principal)
    return f"{refused.value.code} {refused.value.message}"


# ── what is taken ────────────────────────────────────────────────────────────────────────────────────


def test_an_admission_says_what_is_chosen_and_how_it_is_shown() -> None:
    admission = admitted(PROGRESS, {"taskId": "t1"})
    interest = admission.interest
    assert interest.selection == Selection(["task.progress"], key="t1")
    assert (interest.view, interest.completes_on, interest.tag) == (View(), "task.completed", Tag(7, True))
    assert (admission.replay, admission.last_event_id, admission.on_slow) == ("last", None, "catch-up")
    assert admission.channel is PROGRESS


def test_a_tracked_twin_differs_in_its_view_alone() -> None:
    plain = admitted(PROGRESS, {"taskId": "t1"}).interest
    twin = admitted(PROGRESS, {"taskId": "t1"}, tracked=True).interest
    assert twin.view == View(tracked=True)
    assert twin.selection == plain.selection


@pytest.mark.parametrize("nothing", [ABSENT, None, {}, {"unknown": 1}])
def test_a_channel_without_fields_takes_undefined_null_and_any_object(nothing: object) -> None:
    admission = admitted(SYSTEM, nothing)
    assert admission.interest.selection == Selection(["system.x"])
    assert admission.on_slow == "disconnect"


def test_where_fields_are_optional_and_choose_together() -> None:
    assert admitted(OUTPUT, {"taskId": "t"}).interest.selection.where == ()
    assert admitted(OUTPUT, {"taskId": "t", "agentId": None}).interest.selection.where == ()
    both = admitted(OUTPUT, {"taskId": "t", "type": "stdout", "agentId": "a"}).interest.selection
    assert both == Selection(["agent.output"], key="t", where=[("agentId", "a"), ("type", "stdout")])


@pytest.mark.parametrize("replay", ["none", "last", "all"])
def test_the_input_may_choose_the_replay(replay: str) -> None:
    assert admitted(PROGRESS, {"taskId": "t", "replay": replay}).replay == replay
    assert admitted(PROGRESS, {"taskId": "t", "replay": None}).replay == "last"


def test_the_position_of_the_protocol_comes_before_that_of_the_input() -> None:
    assert admitted(SYSTEM, {"lastEventId": "in"}).last_event_id == "in"
    assert admitted(SYSTEM, {"lastEventId": "in"}, last_event_id="of").last_event_id == "of"
    assert admitted(SYSTEM, {"lastEventId": "in"}, last_event_id="").last_event_id == ""
    assert admitted(SYSTEM, ABSENT).last_event_id is None


def test_a_channel_with_an_input_of_its_own_selects_by_it() -> None:
    interest = admitted(WILD, {"topics": ["task.*", "x.y"], "roomNumber": 5, "replay": "all"}).interest
    assert interest.selection == Selection(["task.*", "x.y"], key="5")
    assert interest.view == View(whole=True)


@pytest.mark.parametrize("name", ["task_id", "class", "from", "self", "_id", "ID", "type_"])
def test_a_key_is_asked_for_by_exactly_its_own_name(name: str) -> None:
    channel = Channel("deploy.onRelease", topics=["deploy.release"], key=name)
    assert admitted(channel, {name: "prod"}).interest.selection.key == "prod"
    assert refusal(channel, {}) == f"BAD_REQUEST {name}: required"


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nothing", [ABSENT, None, {}, {"task_id": "t"}])
def test_a_missing_key_is_named(nothing: object) -> None:
    assert refusal(PROGRESS, nothing) == "BAD_REQUEST taskId: required"


@pytest.mark.parametrize("channel", [PROGRESS, SYSTEM, WILD])
@pytest.mark.parametrize(
    ("wrong", "shown"), [(0, "0"), ("", '""'), ([], "[]"), (False, "false"), ("x", '"x"')]
)
def test_an_input_that_is_no_object_is_told_so_once(channel: Channel, wrong: object, shown: str) -> None:
    assert refusal(channel, wrong) == f"BAD_REQUEST expected object, got {shown}"


def test_every_wrong_field_is_named_the_channels_own_and_the_shared_ones() -> None:
    told = refusal(OUTPUT, {"taskId": 5, "agentId": [], "replay": "some", "lastEventId": 3})
    assert told == (
        'BAD_REQUEST replay: expected one of "none", "last", "all", got "some"; '
        "lastEventId: expected string, got 3; "
        "taskId: expected string, got 5; agentId: expected string, got []"
    )


def test_a_validator_of_the_channels_input_speaks_for_itself() -> None:
    assert refusal(WILD, {"topics": ["a", "b", "c"]}) == "BAD_REQUEST topics: expected at most 2 patterns"


# ── what may be seen ─────────────────────────────────────────────────────────────────────────────────


def test_a_topic_outside_the_role_is_forbidden() -> None:
    assert refusal(OUTPUT, {"taskId": "t"}, READER) == 'FORBIDDEN rob may not subscribe "agent.output"'


def test_completion_comes_with_the_channel_and_needs_no_right_of_its_own() -> None:
    assert admitted(PROGRESS, {"taskId": "t"}, principal=READER).interest.completes_on == "task.completed"


def test_a_wildcard_is_narrowed_to_the_role() -> None:
    selection = admitted(WILD, {"topics": ["**"]}, principal=READER).interest.selection
    assert selection.visible == ("task.*",)
    assert admitted(WILD, {"topics": ["**"]}).interest.selection.visible is None


def test_every_path_has_an_entrance_twins_included() -> None:
    other = Channel("garden.onTick", topics=["garden.tick"], tracked="garden.trackedTick")
    registry = Registry([Contribution("x", channels=[PROGRESS, other])])
    found = entrances(registry.subscriptions)
    assert {path: (entrance.channel.path, entrance.tracked) for path, entrance in found.items()} == {
        "stream.onTaskProgress": ("stream.onTaskProgress", False),
        "tracked.onTaskProgress": ("stream.onTaskProgress", True),
        "garden.onTick": ("garden.onTick", False),
        "garden.trackedTick": ("garden.onTick", True),
    }
