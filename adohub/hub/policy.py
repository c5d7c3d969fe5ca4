"""What a principal may do: authorizers first, in order, then the roles of `[auth.roles]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from adohub.config import Role
from adohub.errors import PeerError
from adohub.model import Principal, Right
from adohub.plugin.contracts import Action, Authorizer, Topic
from adohub.topics import Selection, is_wild, matches

ALL_RIGHTS = "*"
"""The role that may do everything. It cannot be configured; the hub gives it to whom the contract says."""


class Policy:
    """Answers one question: may this principal do this to that? `topics` are the declared ones.

    `readers`: of some state topics the right to read them, whatever the key.
    """

    def __init__(
        self,
        roles: Mapping[str, Role],
        authorizers: Sequence[Authorizer],
        topics: Mapping[str, Topic],
        readers: Mapping[str, Right] | None = None,
    ) -> None:
        self._roles = roles
        self._authorizers = authorizers
        self._topics = tuple(topics)
        self.state_topics = frozenset(name for name, topic in topics.items() if topic.state_keys)
        self._readers = readers or {}

    def allows(self, principal: Principal, action: Action, resource: str) -> bool:
        """Whether `principal` may do `action` to `resource` (a topic, a state key, a verb)."""
        for authorizer in self._authorizers:
            answer = authorizer(principal, action, resource)
            if answer is not None:
                return answer
        if ALL_RIGHTS in principal.roles:
            return True
        return any(matches(pattern, resource) for pattern in self._patterns(principal, action))

    def demand(self, principal: Principal, action: Action, resource: str) -> None:
        """Raises PeerError FORBIDDEN, naming the action and the resource, unless it is allowed."""
        if self._may_do_everything(principal):  # most of the time, and at once
            return
        if not self.allows(principal, action, resource):
            raise PeerError("FORBIDDEN", f'{principal.name} may not {action} "{resource}"')

    def narrowed(self, principal: Principal, selection: Selection) -> Selection:
        """`selection` as far as this principal may see it.

        Topics named one by one are demanded (FORBIDDEN), wild patterns are narrowed. Of state topics what
        counts is each key: one that is named is demanded, and somebody who may read none at all is refused.
        """
        if self._may_do_everything(principal):
            return selection
        asked = [topic for topic in selection.topics if topic not in self.state_topics]
        if any(topic in self.state_topics and topic not in self._readers for topic in selection.topics):
            self._demand_keys(principal, selection)
        for topic in selection.topics:
            if topic in self._readers:
                self.demand(principal, *self._readers[topic])
        return evolve(
            selection,
            visible=self._visible(principal, asked),
            permits=KeyRights(self, principal) if self._meets_state(selection) else None,
        )

    def _demand_keys(self, principal: Principal, selection: Selection) -> None:
        if selection.key is not None:
            self.demand(principal, "state_read", selection.key)
        elif not self._authorizers and not any(self._patterns(principal, "state_read")):
            self.demand(principal, "state_read", f"{selection.prefix or ''}*")

    def may_read(self, principal: Principal, topic: str, key: str | None) -> bool:
        """Whether `principal` may see this key of a state topic; of other topics it has nothing to say."""
        if topic not in self.state_topics:
            return True
        return self.allows(principal, *self._readers.get(topic, ("state_read", key or "")))

    def _meets_state(self, selection: Selection) -> bool:
        return any(map(selection.covers, self.state_topics))

    def _may_do_everything(self, principal: Principal) -> bool:
        return ALL_RIGHTS in principal.roles and not self._authorizers

    def _visible(self, principal: Principal, patterns: Sequence[str]) -> Sequence[str] | None:
        """What of the topics in `patterns` this principal may see, as patterns; None for all of it."""
        for topic in patterns:
            if not is_wild(topic):
                self.demand(principal, "subscribe", topic)
        if not any(map(is_wild, patterns)):
            return None
        if self._authorizers:
            return [topic for topic in self._topics if self.allows(principal, "subscribe", topic)]
        return sorted(set(self._patterns(principal, "subscribe")))

    def _patterns(self, principal: Principal, action: Action) -> Iterable[str]:
        for name in principal.roles:
            role = self._roles.get(name)
            if role is None:
                continue
            if action == "admin":
                yield from ["**"] if role.admin else []
            else:
                yield from getattr(role, action)


@frozen
class KeyRights:
    """Which keys of state topics a principal may read; of other topics it has nothing to say."""

    policy: Policy
    principal: Principal

    def __call__(self, topic: str, key: str | None) -> bool:
        return self.policy.may_read(self.principal, topic, key)
