"""Authorizers are asked in order, then roles; and what is not allowed is refused by name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adohub.config import Role
from adohub.errors import PeerError
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.model import Principal
from adohub.plugin.contracts import Action, Authorizer

ROLES = {
    "publisher": Role(publish=("task.**", "agent.*")),
    "reader": Role(subscribe=("task.*", "system.**")),
    "late": Role(subscribe=("deploy.release",)),
    "keeper": Role(state_read=("app.**",), state_write=("app.mine",)),
    "boss": Role(workers=("attend", "list"), admin=True),
}
TOPICS = ("task.progress", "task.completed", "agent.output")


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


def test_topics_named_one_by_one_are_demanded_each() -> None:
    assert policy().visible(who("reader"), ["task.progress", "task.completed"]) is None
    with pytest.raises(PeerError, match=r'ann may not subscribe "agent.output"'):
        policy().visible(who("reader"), ["task.progress", "agent.output"])
    with pytest.raises(PeerError, match=r'ann may not subscribe "agent.output"'):
        policy().visible(who("reader"), ["**", "agent.output"])


def test_patterns_are_narrowed_to_what_the_roles_may_see() -> None:
    assert policy().visible(who("reader", "late"), ["**"]) == ["deploy.release", "system.**", "task.*"]
    assert policy().visible(who("reader", "reader"), ["task.**"]) == ["system.**", "task.*"]
    assert policy().visible(who("publisher"), ["**"]) == []


def test_all_rights_see_all() -> None:
    assert policy().visible(who(ALL_RIGHTS), ["**", "task.progress"]) is None


def test_with_authorizers_the_declared_topics_are_asked_one_by_one() -> None:
    def no_agents(principal: Principal, action: str, resource: str) -> bool | None:
        return False if resource.startswith("agent.") else None

    assert policy(no_agents).visible(who(ALL_RIGHTS), ["**"]) == ["task.progress", "task.completed"]
    assert policy(no_agents).visible(who("publisher"), ["**"]) == []
    with pytest.raises(PeerError):
        policy(no_agents).visible(who(ALL_RIGHTS), ["agent.output"])
