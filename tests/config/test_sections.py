"""Every key of the contract, with its default and its range."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from adohub.config import Auth, Config, DeclaredChannel, Redis, Role, Server, Storage, Token, UnixPeer
from adohub.structuring import StructureError, strict
from tests.config.strategies import leaf_keys

DIGEST = "0123456789abcdef" * 4

CONTRACT = {
    "server.host": "127.0.0.1",
    "server.port": 3001,
    "server.reuse_port": False,
    "server.unix_socket": "",
    "server.unix_socket_mode": "0600",
    "server.unix_socket_group": "",
    "server.tls_cert": "",
    "server.tls_key": "",
    "server.transformer": "none",
    "server.websocket": "native",
    "server.fan_out": "shared",
    "server.allowed_origins": (),
    "server.max_connections": 10000,
    "server.max_message_bytes": 1048576,
    "server.max_subscriptions_per_connection": 256,
    "server.handshake_timeout_ms": 10000,
    "server.outbox_bytes": 262144,
    "server.drain_timeout_ms": 10000,
    "server.drain_notice": "close",
    "keepalive.enabled": True,
    "keepalive.mode": "auto",
    "keepalive.ping_ms": 30000,
    "keepalive.pong_wait_ms": 5000,
    "limits.max_connections_per_address": 0,
    "limits.max_head_bytes": 16384,
    "limits.max_json_depth": 128,
    "limits.max_batch_length": 10000,
    "limits.max_frame_fragments": 1024,
    "limits.max_id_bytes": 256,
    "limits.max_key_bytes": 1024,
    "storage.engine": "memory",
    "storage.max_events": 100000,
    "storage.max_age_s": 86400,
    "storage.idempotency_window_s": 300,
    "storage.keep_ended_s": 3600,
    "storage.sqlite.path": "adohub.db",
    "storage.sqlite.synchronous": "full",
    "storage.redis.url": "redis://localhost:6379/0",
    "storage.redis.prefix": "ado",
    "storage.redis.publish_timeout_ms": 5000,
    "storage.redis.wait_replicas": 0,
    "logging.level": "info",
    "logging.format": "auto",
    "presence.grace_ms": 5000,
    "topics.allow_undeclared": False,
    "auth.allow_anonymous": False,
    "auth.reject_delay_ms": 2000,
    "auth.expiry_notice_ms": 10000,
    "auth.expiry_grace_ms": 5000,
    "auth.max_failures_per_minute": 60,
    "auth.tokens": (),
    "auth.peers": (),
    "plugins.directories": (),
    "plugins.disabled": (),
    "plugins.strict": False,
}


def test_the_defaults_are_the_contract_s() -> None:
    assert {".".join(path): value for path, value in leaf_keys(Config())} == CONTRACT


def test_every_key_says_what_it_is() -> None:
    for cls in (Config, Server, Storage, Redis, Auth, Token, UnixPeer, Role, DeclaredChannel):
        for attribute in attrs.fields(cls):
            assert attribute.metadata["doc"].endswith((".", '"')), attribute.name


@pytest.mark.parametrize(
    ("cls", "value", "message"),
    [
        (Server, {"port": 65536}, "port: expected at most 65535, got 65536"),
        (Server, {"port": -1}, "port: expected at least 0, got -1"),
        (Server, {"host": ""}, 'host: expected at least 1 character, got ""'),
        (Server, {"max_connections": 0}, "max_connections: expected more than 0, got 0"),
        (Server, {"drain_timeout_ms": -1}, "drain_timeout_ms: expected at least 0, got -1"),
        (Server, {"tls_cert": "a.pem"}, "tls_key: required, because tls_cert is set"),
        (Server, {"tls_key": "a.pem"}, "tls_cert: required, because tls_key is set"),
        (Server, {"allowed_origins": ["*", ""]}, 'allowed_origins[1]: expected at least 1 character, got ""'),
        (Storage, {"max_events": True}, "max_events: expected integer, got true"),
        (Storage, {"max_age_s": 0.5}, "max_age_s: expected integer, got 0.5"),
        (Redis, {"url": 5}, "url: expected string"),
        (Redis, {"publish_timeout_ms": 0}, "publish_timeout_ms: expected more than 0, got 0"),
        (Redis, {"wait_replicas": -1}, "wait_replicas: expected at least 0, got -1"),
        (Token, {"name": "ci"}, "sha256: required"),
        (
            Token,
            {"name": "ci", "sha256": "hunter2"},
            "sha256: expected 64 hexadecimal digits, the SHA-256 of the token's text",
        ),
        (UnixPeer, {"name": "ci"}, "user: required, unless there is a group"),
        (Role, {"workers": ["hire"]}, 'workers[0]: expected one of "attend", "send", "list", got "hire"'),
        (DeclaredChannel, {}, "topics: required"),
        (DeclaredChannel, {"topics": []}, "topics: expected at least 1 item, got []"),
        (DeclaredChannel, {"topics": [""]}, 'topics[0]: expected at least 1 character, got ""'),
        (
            Auth,
            {"tokens": [{"name": "a", "sha256": DIGEST}, {"name": "a", "sha256": DIGEST}]},
            'tokens: two tokens are named "a"',
        ),
    ],
)
def test_a_value_out_of_range_is_refused(cls: type[Any], value: dict[str, Any], message: str) -> None:
    with pytest.raises(StructureError) as caught:
        strict.structure(value, cls)
    assert str(caught.value) == message


def test_a_digest_may_be_in_capitals() -> None:
    assert Token("ci", DIGEST.upper()).sha256 == DIGEST


def test_secrets_are_not_in_the_repr() -> None:
    config = Config(
        storage=Storage(redis=Redis(url="redis://:hunter2@localhost")),
        auth=Auth(tokens=(Token("ci", DIGEST),)),
    )
    assert "hunter2" not in repr(config)
    assert DIGEST not in repr(config)
