"""Authorizers are asked in order, then roles; and what is not allowed is refused by name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adohub.config import Role
from adohub.errors import PeerError
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.model import Event, Position, Principal, Right
from adohub.plugin.contracts import Action, Authorizer, Topic
from adohub.topics import Selection

ROLES = {
    "publisher": Role(publish=("task.**", "agent.*")),
    "reader": Role(subscribe=("task.*", "system.**")),
    "late": Role(subscribe=("deploy.release",)),
    "keeper": Role(state_read=("app.**",), state_write=("app.mine",)),
    "boss": Role(workers=("attend", "list"), admin=True),
}
TOPICS = {name: Topic(name) for name in ("task.progress", "task.completed", "agent.output")}
WITH_STATE = {**TOPICS, "state.changed": Topic("state.changed", key="key", state_keys=5)}


def policy(*authorizers: Authorizer) -> Policy:
    return Policy(ROLES, authorizers, TOPICS)


def who(*roles: str) -> Principal:
    return Principal("ann", roles=roles)


@pytest.mark.parametrize(
    ("roles", "action", "resource", "allowed"),
    [
        (["publisher"], "publish", "task.progress", True),
        (["publisher"], "publish", "task", True),
        (["publisher"], "publish", "agent.output.more", False),
        (["publisher"], "subscribe", "task.progress", False),
        (["reader"], "subscribe", "system.worker.added", True),
        (["reader", "late"], "subscribe", "deploy.release", True),
        (["keeper"], "state_read", "app.theirs", True),
        (["keeper"], "state_write", "app.theirs", False),
        (["boss"], "workers", "list", True),
        (["boss"], "workers", "send", False),
        (["boss"], "admin", "connections", True),
        (["publisher"], "admin", "connections", False),
        (["no such role"], "publish", "task.progress", False),
        ([], "publish", "task.progress", False),
        ([ALL_RIGHTS], "admin", "connections", True),
        ([ALL_RIGHTS], "publish", "anything.at-all", True),
    ],
)
def test_roles_allow_what_they_list(
    roles: Sequence[str], action: Action, resource: str, allowed: bool
) -> None:
    assert policy().allows(who(*roles), action, resource) is allowed


def test_the_first_authorizer_that_answers_decides_before_the_roles() -> None:
    asked: list[str] = []

    def told(name: str, answer: bool | None) -> Authorizer:
        def authorize(principal: Principal, action: str, resource: str) -> bool | None:
            asked.append(f"{name} {principal.name} {action} {resource}")
            return answer

        return authorize

    assert policy(told("a", None), told("b", True), told("c", False)).allows(who(), "publish", "x.y")
    assert asked == ["a ann publish x.y", "b ann publish x.y"]
    assert not policy(told("a", False)).allows(who(ALL_RIGHTS), "publish", "x.y")
    assert policy(told("a", None)).allows(who("publisher"), "publish", "task.x")
    assert not policy(told("a", None)).allows(who("reader"), "publish", "task.x")


def test_what_is_not_allowed_is_forbidden_by_name() -> None:
    policy().demand(who("publisher"), "publish", "task.progress")
    with pytest.raises(PeerError) as refusal:
        policy().demand(who("reader"), "publish", "task.progress")
    assert refusal.value.code == "FORBIDDEN"
    assert refusal.value.message == 'ann may not publish "task.progress"'


# ── what may be seen ─────────────────────────────────────────────────────────────────────────────────


def visible(policy: Policy, principal: Principal, topics: Sequence[str]) -> Sequence[str] | None:
    seen = policy.narrowed(principal, Selection(topics)).visible
    return None if seen is None else list(seen)


def test_topics_named_one_by_one_are_demanded_each() -> None:
    assert visible(policy(), who("reader"), ["task.progress", "task.completed"]) is None
    with pytest.raises(PeerError, match=r'ann may not subscribe "agent.output"'):
        visible(policy(), who("reader"), ["task.progress", "agent.output"])
    with pytest.raises(PeerError, match=r'ann may not subscribe "agent.output"'):
        visible(policy(), who("reader"), ["**", "agent.output"])


def test_patterns_are_narrowed_to_what_the_roles_may_see() -> None:
    assert visible(policy(), who("reader", "late"), ["**"]) == ["deploy.release", "system.**", "task.*"]
    assert visible(policy(), who("reader", "reader"), ["task.**"]) == ["system.**", "task.*"]
    assert visible(policy(), who("publisher"), ["**"]) == []


def test_all_rights_see_all() -> None:
    assert visible(policy(), who(ALL_RIGHTS), ["**", "task.progress"]) is None


def test_with_authorizers_the_declared_topics_are_asked_one_by_one() -> None:
    def no_agents(principal: Principal, action: str, resource: str) -> bool | None:
        return False if resource.startswith("agent.") else None

    assert visible(policy(no_agents), who(ALL_RIGHTS), ["**"]) == ["task.progress", "task.completed"]
    assert visible(policy(no_agents), who("publisher"), ["**"]) == []
    with pytest.raises(PeerError):
        visible(policy(no_agents), who(ALL_RIGHTS), ["agent.output"])


# ── state ────────────────────────────────────────────────────────────────────────────────────────────


def seen(principal: Principal, selection: Selection, *authorizers: Authorizer) -> list[str]:
    """Which of some keys of a state topic and of another one this principal is shown."""
    narrowed = Policy(ROLES, authorizers, WITH_STATE).narrowed(principal, selection)
    there_are = [("state.changed", "app.mine"), ("state.changed", "other"), ("task.progress", "t")]
    events = [Event(Position("e", 1), topic, key, b"{}", "") for topic, key in there_are]
    return [f"{event.topic}/{event.key}" for event in events if narrowed.chooses(event)]


STATE = Selection(["state.changed"], prefix="")


def test_of_state_everybody_sees_the_keys_that_they_may_read() -> None:
    assert seen(who("keeper"), STATE) == ["state.changed/app.mine"]
    assert seen(who(ALL_RIGHTS), STATE) == ["state.changed/app.mine", "state.changed/other"]
    assert seen(who("keeper", "reader"), Selection(["**"])) == ["task.progress/t"]


def test_a_wild_pattern_shows_no_state_beyond_its_keys() -> None:
    roles = {**ROLES, "curious": Role(subscribe=("**",))}
    narrowed = Policy(roles, (), WITH_STATE).narrowed(who("curious", "keeper"), Selection(["**"]))
    assert narrowed.permits is not None
    assert narrowed.permits("state.changed", "app.mine")
    assert not narrowed.permits("state.changed", "other")
    assert narrowed.permits("task.progress", "t")


def test_a_key_that_is_named_is_demanded() -> None:
    with pytest.raises(PeerError, match=r'ann may not state_read "other"'):
        seen(who("keeper"), Selection(["state.changed"], key="other"))
    assert seen(who("keeper"), Selection(["state.changed"], key="app.mine")) == ["state.changed/app.mine"]


def test_who_may_read_no_key_at_all_is_told_so() -> None:
    with pytest.raises(PeerError, match="ann may not state_read"):
        seen(who("reader"), STATE)


def test_authorizers_are_asked_for_each_key() -> None:
    def only_others(principal: Principal, action: str, resource: str) -> bool | None:
        return resource == "other" if action == "state_read" else None

    assert seen(who(), STATE, only_others) == ["state.changed/other"]


def test_some_state_is_read_by_a_right_of_its_own_whatever_the_key() -> None:
    readers: dict[str, Right] = {"worker.presence": ("workers", "list")}
    topics = {**WITH_STATE, "worker.presence": Topic("worker.presence", key="key", state_keys=5)}
    policy = Policy({**ROLES, "curious": Role(subscribe=("**",), state_read=("**",))}, (), topics, readers)
    record = Event(Position("e", 1), "worker.presence", "other", b"{}", "")
    for selection in (Selection(["worker.presence"]), Selection(["worker.presence"], key="other")):
        assert policy.narrowed(who("boss"), selection).chooses(record)
        with pytest.raises(PeerError, match=r'ann may not workers "list"'):
            policy.narrowed(who("curious"), selection)
    assert not policy.narrowed(who("curious"), Selection(["**"])).chooses(record)
    assert policy.narrowed(who("curious", "boss"), Selection(["**"])).chooses(record)


def test_equal_rights_make_equal_selections() -> None:
    policy = Policy(ROLES, (), WITH_STATE)
    assert policy.narrowed(who("keeper"), STATE) == policy.narrowed(who("keeper"), STATE)
    assert hash(policy.narrowed(who("keeper"), STATE)) == hash(policy.narrowed(who("keeper"), STATE))
