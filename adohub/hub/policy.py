"""What a principal may do: authorizers first, in order, then the roles of `[auth.roles]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adohub.config import Role
from adohub.errors import PeerError
from adohub.model import Principal
from adohub.plugin.contracts import Action, Authorizer
from adohub.topics import is_wild, matches

ALL_RIGHTS = "*"
"""The role that may do everything. It cannot be configured; the hub gives it to whom the contract says."""


class Policy:
    """Answers one question: may this principal do this to that? `topics` are the declared ones."""

    def __init__(
        self, roles: Mapping[str, Role], authorizers: Sequence[Authorizer], topics: Iterable[str]
    ) -> None:
        self._roles = roles
        self._authorizers = authorizers
        self._topics = tuple(topics)

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
        if ALL_RIGHTS in principal.roles and not self._authorizers:  # most of the time, and at once
            return
        if not self.allows(principal, action, resource):
            raise PeerError("FORBIDDEN", f'{principal.name} may not {action} "{resource}"')

    def visible(self, principal: Principal, patterns: Sequence[str]) -> Sequence[str] | None:
        """What of the topics in `patterns` this principal may see, as patterns; None for all of it.

        Topics named one by one are demanded (FORBIDDEN); wild patterns are narrowed.
        """
        for topic in patterns:
            if not is_wild(topic):
                self.demand(principal, "subscribe", topic)
        if not any(map(is_wild, patterns)):
            return None
        if self._authorizers:
            return [topic for topic in self._topics if self.allows(principal, "subscribe", topic)]
        if ALL_RIGHTS in principal.roles:
            return None
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
