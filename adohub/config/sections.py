"""Every key of the configuration, once: its name, type, default, range and meaning.

The loader, the annotated default file and the masking of secrets all read it from here. Names end in their
unit where they have one (`_ms`, `_s`, `_bytes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import Attribute, field, frozen
from attrs.validators import and_, deep_iterable, ge, le, matches_re, min_len

from adohub.config.auth import Auth
from adohub.config.keys import FILLED, FILLED_TEXTS, NOT_NEGATIVE, POSITIVE, Example, about
from adohub.config.limits import Limits
from adohub.config.storage import Storage
from adohub.model import OnGap, OnSlow, Replay


@frozen
class Server:
    """Where the hub listens, and what one connection may cost."""

    host: str = field(default="127.0.0.1", validator=FILLED, metadata=about("Address to listen on."))
    port: int = field(
        default=3001,
        validator=and_(ge(0), le(65535)),
        metadata=about("TCP port; 0 lets the system choose one."),
    )
    reuse_port: bool = field(
        default=False,
        metadata=about(
            "Whether other hubs may listen on the same port: the system spreads connections over them."
        ),
    )
    unix_socket: str = field(
        default="", metadata=about("Path of a unix socket to listen on as well; empty for none.")
    )
    unix_socket_mode: str = field(
        default="0600",
        validator=matches_re("0?[0-7]{3}"),
        metadata=about("Who may open the unix socket, as chmod has it: 0660 for its group as well."),
    )
    unix_socket_group: str = field(
        default="",
        metadata=about("Group of the unix socket, by name or number; empty for that of the hub's user."),
    )
    tls_cert: str = field(
        default="",
        metadata=about("Certificate chain for TLS, a PEM file. Both of tls_cert and tls_key, or neither."),
    )
    tls_key: str = field(default="", metadata=about("Private key for TLS, a PEM file."))
    transformer: Literal["none", "superjson"] = field(
        default="none",
        metadata=about('How values travel: "none" as plain JSON, "superjson" with dates as dates.'),
    )
    websocket: Literal["native", "trio-websocket"] = field(
        default="native", metadata=about('Who reads the sockets: "native" or "trio-websocket".')
    )
    fan_out: Literal["shared", "single"] = field(
        default="shared",
        metadata=about(
            'How events reach many subscribers: in "shared" frames, or, only to be compared with, in '
            '"single" ones, which is slow.'
        ),
    )
    allowed_origins: tuple[str, ...] = field(
        default=(),
        validator=FILLED_TEXTS,
        metadata=about(
            'Browser origins let in, such as "https://example.org"; empty = same origin only, "*" = any.'
        ),
    )
    max_connections: int = field(
        default=10000, validator=POSITIVE, metadata=about("Connections at a time; more are answered 503.")
    )
    max_message_bytes: int = field(
        default=1048576,
        validator=POSITIVE,
        metadata=about("Longest message a client may send.", unit="bytes"),
    )
    max_subscriptions_per_connection: int = field(
        default=256, validator=POSITIVE, metadata=about("Subscriptions one connection may hold.")
    )
    handshake_timeout_ms: int = field(
        default=10000,
        validator=POSITIVE,
        metadata=about("Time a client has to finish its handshake.", unit="milliseconds"),
    )
    outbox_bytes: int = field(
        default=262144,
        validator=POSITIVE,
        metadata=about(
            "What may wait to be sent on one connection before the channel's on_slow applies.", unit="bytes"
        ),
    )
    drain_timeout_ms: int = field(
        default=10000,
        validator=NOT_NEGATIVE,
        metadata=about("Time that connections are given to end when the hub stops.", unit="milliseconds"),
    )
    drain_notice: Literal["close", "reconnect"] = field(
        default="close",
        metadata=about(
            'How clients learn that the hub stops: "close" suits every version of tRPC, "reconnect" new ones.'
        ),
    )

    @tls_cert.validator
    def _tls_cert_needs_its_key(self, _: Attribute[str], value: str) -> None:
        if self.tls_key and not value:
            raise ValueError("required, because tls_key is set")

    @tls_key.validator
    def _tls_key_needs_its_certificate(self, _: Attribute[str], value: str) -> None:
        if self.tls_cert and not value:
            raise ValueError("required, because tls_cert is set")


@frozen
class Keepalive:
    """How the hub finds out that a client is gone."""

    enabled: bool = field(
        default=True, metadata=about("Whether silent clients are asked for a sign of life.")
    )
    mode: Literal["auto", "frame", "text"] = field(
        default="auto",
        metadata=about(
            'How: "frame" by WebSocket ping frames, "text" by tRPC\'s PING, which breaks v10 clients, '
            '"auto" by frames until a client has shown that it knows PING.'
        ),
    )
    ping_ms: int = field(
        default=30000,
        validator=POSITIVE,
        metadata=about("Silence before a client is asked.", unit="milliseconds"),
    )
    pong_wait_ms: int = field(
        default=5000, validator=POSITIVE, metadata=about("Time it has to answer.", unit="milliseconds")
    )


@frozen
class Logging:
    """What the hub says of its own doings."""

    level: Literal["debug", "info", "warning", "error", "critical"] = field(
        default="info",
        metadata=about('Least level shown: "debug", "info", "warning", "error" or "critical".'),
    )
    format: Literal["auto", "console", "journal", "json"] = field(
        default="auto",
        metadata=about('"console", "journal" or "json"; "auto" picks by where the output goes.'),
    )


@frozen
class Presence:
    """When a worker counts as gone."""

    grace_ms: int = field(
        default=5000,
        validator=NOT_NEGATIVE,
        metadata=about("Time a worker has to come back before its absence is told.", unit="milliseconds"),
    )


@frozen
class Topics:
    """Which topics may be published."""

    allow_undeclared: bool = field(
        default=False, metadata=about("Whether a topic that no plugin or channel declares may be published.")
    )


@frozen
class Plugins:
    """Which plugins are loaded besides the installed ones."""

    directories: tuple[str, ...] = field(
        default=(), validator=FILLED_TEXTS, metadata=about("Folders of single-file plugins.")
    )
    disabled: tuple[str, ...] = field(
        default=(), validator=FILLED_TEXTS, metadata=about("Names of plugins that are not loaded.")
    )
    strict: bool = field(
        default=False, metadata=about("Whether the hub refuses to start when a plugin fails to load.")
    )


@frozen
class DeclaredChannel:
    """A channel that needs no Python. It declares its topics, too."""

    topics: tuple[str, ...] = field(
        validator=deep_iterable(FILLED, iterable_validator=min_len(1)), metadata=about("Topics it carries.")
    )
    key: str = field(default="", metadata=about("Payload field that subscribers choose by; empty for none."))
    replay: Replay = field(
        default="none",
        metadata=about('What a new subscriber gets first: "none", "last" (newest per key) or "all".'),
    )
    completes_on: str = field(
        default="", metadata=about("Topic whose event ends the subscription; empty for none.")
    )
    on_gap: OnGap = field(
        default="continue", metadata=about('When events to resume from are gone: "continue" or "error".')
    )
    on_slow: OnSlow = field(
        default="catch-up",
        metadata=about('When a subscriber reads too slowly: "catch-up", "disconnect" or "latest".'),
    )


@frozen
class Config:
    """The whole configuration."""

    server: Server = field(factory=Server, metadata=about(Server.__doc__))
    keepalive: Keepalive = field(factory=Keepalive, metadata=about(Keepalive.__doc__))
    limits: Limits = field(factory=Limits, metadata=about(Limits.__doc__))
    storage: Storage = field(factory=Storage, metadata=about(Storage.__doc__))
    logging: Logging = field(factory=Logging, metadata=about(Logging.__doc__))
    presence: Presence = field(factory=Presence, metadata=about(Presence.__doc__))
    topics: Topics = field(factory=Topics, metadata=about(Topics.__doc__))
    auth: Auth = field(factory=Auth, metadata=about(Auth.__doc__))
    plugins: Plugins = field(factory=Plugins, metadata=about(Plugins.__doc__))
    plugin: Mapping[str, Mapping[str, Any]] = field(
        factory=dict,
        metadata=about(
            "Each [plugin.NAME] is handed to the plugin NAME, which says what it may hold.",
            example=Example("NAME", {"key": "value"}),
        ),
    )
    channels: Mapping[str, DeclaredChannel] = field(
        factory=dict,
        metadata=about(
            "Channels without any Python: each declares its topics, which then carry any JSON object.",
            example=Example(
                "deploy.onRelease", DeclaredChannel(topics=("deploy.release",), key="env", replay="last")
            ),
        ),
    )
