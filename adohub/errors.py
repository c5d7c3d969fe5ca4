"""Every error adohub raises on purpose, typed by whose fault it is.

    AdohubError
        ConfigError     the operator's: every problem of one configuration at once
        PluginError     a plugin author's: names the plugin
        PeerError       the client's, or a refusal: the only text a client is ever sent
            CredentialRefused   who it is cannot be believed; the reason is for the log alone
            OverLimit           it is more than a configured limit allows
        Goodbye         nobody's: this connection ends, and how
        StorageError    the engine's: events cannot be kept or read just now

Anything else that escapes is a bug in adohub or in a plugin: clients get INTERNAL_SERVER_ERROR with an
incident id, and the log gets the traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

ErrorCode = Literal[
    "PARSE_ERROR",
    "BAD_REQUEST",
    "UNAUTHORIZED",
    "PAYMENT_REQUIRED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_SUPPORTED",
    "TIMEOUT",
    "CONFLICT",
    "PRECONDITION_FAILED",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "UNPROCESSABLE_CONTENT",
    "PRECONDITION_REQUIRED",
    "TOO_MANY_REQUESTS",
    "CLIENT_CLOSED_REQUEST",
    "INTERNAL_SERVER_ERROR",
    "NOT_IMPLEMENTED",
    "BAD_GATEWAY",
    "SERVICE_UNAVAILABLE",
    "GATEWAY_TIMEOUT",
]
"""The names of tRPC's error codes; their numbers and HTTP statuses are in `adohub.wire.codes`."""


class AdohubError(Exception):
    """The root: `except AdohubError` catches what adohub raises on purpose, and no bug."""


@frozen
class Problem:
    """One thing wrong with a configuration.

    `source` is the file (or environment variable) at fault, `path` the TOML key (`server.port`), empty for
    the whole file. `str()` is the line an operator reads: `adohub.toml: server.port: expected integer`.
    """

    source: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.message) if part)


class ConfigError(AdohubError):
    """The configuration cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(AdohubError):
    """A plugin cannot be loaded, or broke a hook's promise. `plugin` is its name."""

    def __init__(self, plugin: str, message: str) -> None:
        self.plugin = plugin
        self.message = message
        super().__init__(f"plugin {plugin}: {message}")


class PeerError(AdohubError):
    """A request is refused, in words that are sent to the peer as they stand.

    Raised by procedures, channels and the hub itself; the Python client raises it again on the other side.
    `data` is added to the error's `data` object on the wire, where it cannot replace what tRPC puts there.
    """

    def __init__(self, code: ErrorCode, message: str = "", *, data: Mapping[str, Any] | None = None) -> None:
        self.code: ErrorCode = code
        self.message = message or code
        self.data = dict(data or {})
        super().__init__(self.message)


class CredentialRefused(PeerError):
    """A credential is not accepted (UNAUTHORIZED).

    `reason` is for the operator: it is logged, without the credential, and never sent. `message` is what the
    peer is told; to say more than that helps those who guess.
    """

    def __init__(self, reason: str, message: str = "this credential is not accepted") -> None:
        self.reason = reason
        super().__init__("UNAUTHORIZED", message)


class OverLimit(PeerError):
    """A request is more than a limit allows. `limit` is the key in the configuration, for counting."""

    def __init__(
        self, limit: str, code: ErrorCode, message: str, *, data: Mapping[str, Any] | None = None
    ) -> None:
        self.limit = limit
        super().__init__(code, message, data=data)


class Goodbye(AdohubError):
    """This connection ends now. `code` is an RFC 6455 close code; clients reconnect unless they gave up.

    `limit` is the key of the limit that the peer has met, if that is why.
    """

    def __init__(self, code: int, reason: str = "", *, limit: str = "") -> None:
        self.code = code
        self.reason = reason
        self.limit = limit
        super().__init__(f"{code} {reason}".strip())


class StorageError(AdohubError):
    """The engine cannot keep or read events just now. Publishing fails; nothing acknowledged is lost."""
