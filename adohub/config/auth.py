"""`[auth]`: who may connect, and what each role may do."""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import Attribute, field, frozen

from adohub.config.keys import FILLED, FILLED_TEXTS, NOT_NEGATIVE, POSITIVE, Example, about, lower


@frozen
class Token:
    """A bearer token, known by its hash only."""

    name: str = field(validator=FILLED, metadata=about("Who holds it: the principal's name."))
    sha256: str = field(
        converter=lower,
        repr=False,
        metadata=about('Hash of the token\'s text, hexadecimal; "adohub token new" prints it.', secret=True),
    )
    roles: tuple[str, ...] = field(default=(), validator=FILLED_TEXTS, metadata=about("Its roles."))

    @sha256.validator
    def _sha256_is_a_digest(self, _: Attribute[str], value: str) -> None:
        if not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError("expected 64 hexadecimal digits, the SHA-256 of the token's text")


@frozen
class UnixPeer:
    """A process that connects to the unix socket, known by what the system says of it."""

    name: str = field(validator=FILLED, metadata=about("Who that is: the principal's name."))
    user: str = field(
        default="",
        metadata=about("The user it runs as, by name or number; empty for any, if there is a group."),
    )
    group: str = field(default="", metadata=about("A group of that user, by name or number; empty for any."))
    roles: tuple[str, ...] = field(default=(), validator=FILLED_TEXTS, metadata=about("Its roles."))

    @user.validator
    def _somebody_is_meant(self, _: Attribute[str], value: str) -> None:
        if not value and not self.group:
            raise ValueError("required, unless there is a group")

    @property
    def uid(self) -> int | None:
        """The number of `user` on this machine. Raises LookupError."""
        return _number(self.user, lambda name: pwd.getpwnam(name).pw_uid)

    @property
    def gid(self) -> int | None:
        """The number of `group` on this machine. Raises LookupError."""
        return _number(self.group, lambda name: grp.getgrnam(name).gr_gid)


def _number(text: str, find: Callable[[str], int]) -> int | None:
    if not text:
        return None
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else find(text)


@frozen
class Role:
    """What a role may do. Patterns are dotted: `*` is one segment, `**` any rest."""

    publish: tuple[str, ...] = field(
        default=(), validator=FILLED_TEXTS, metadata=about("Topics it may publish.")
    )
    subscribe: tuple[str, ...] = field(
        default=(), validator=FILLED_TEXTS, metadata=about("Topics it may receive, also from history.")
    )
    state_read: tuple[str, ...] = field(
        default=(), validator=FILLED_TEXTS, metadata=about("State keys it may read.")
    )
    state_write: tuple[str, ...] = field(
        default=(), validator=FILLED_TEXTS, metadata=about("State keys it may write.")
    )
    workers: tuple[Literal["attend", "send", "list"], ...] = field(
        default=(), metadata=about('What it may do with workers: any of "attend", "send", "list".')
    )
    max_events_per_s: int = field(
        default=0,
        validator=NOT_NEGATIVE,
        metadata=about("How many events each of its principals may publish in a second; 0 for any number."),
    )
    max_bytes_per_s: int = field(
        default=0,
        validator=NOT_NEGATIVE,
        metadata=about(
            "How much each of its principals may publish in a second; 0 for any amount.",
            unit="bytes of payload",
        ),
    )
    admin: bool = field(
        default=False,
        metadata=about("Whether it may see the hub's connections and have decisions explained."),
    )


@frozen
class Auth:
    """Who may connect, and to do what."""

    allow_anonymous: bool = field(
        default=False,
        metadata=about(
            "Whether clients without a credential get in; on loopback without any token they do anyway."
        ),
    )
    reject_delay_ms: int = field(
        default=2000,
        validator=NOT_NEGATIVE,
        metadata=about(
            "How long a refused connection is held at least, so that clients do not return at once.",
            unit="milliseconds",
        ),
    )
    expiry_notice_ms: int = field(
        default=10000,
        validator=NOT_NEGATIVE,
        metadata=about(
            "How long before a credential expires its connections are closed: clients come back with a fresh "
            "one.",
            unit="milliseconds",
        ),
    )
    expiry_grace_ms: int = field(
        default=5000,
        validator=NOT_NEGATIVE,
        metadata=about(
            "How long calls may go on that are in flight when a credential expires.", unit="milliseconds"
        ),
    )
    max_failures_per_minute: int = field(
        default=60,
        validator=POSITIVE,
        metadata=about(
            "How many refusals a minute one address hears at once; those beyond that come late. A good "
            "credential is never kept waiting."
        ),
    )
    tokens: tuple[Token, ...] = field(
        default=(),
        metadata=about(
            "Bearer tokens that are let in.",
            example=Example("", Token(name="ci", sha256="0123456789abcdef" * 4, roles=("publisher",))),
        ),
    )
    peers: tuple[UnixPeer, ...] = field(
        default=(),
        metadata=about(
            "Processes that the unix socket lets in besides those of the hub's own user.",
            example=Example("", UnixPeer(name="controller", user="ado", roles=("publisher",))),
        ),
    )
    roles: Mapping[str, Role] = field(
        factory=dict,
        metadata=about(
            "What each role may do.", example=Example("publisher", Role(publish=("task.**", "agent.**")))
        ),
    )

    @tokens.validator
    def _names_are_unique(self, _: Attribute[Any], tokens: tuple[Token, ...]) -> None:
        names = [token.name for token in tokens]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f'two tokens are named "{name}"')
