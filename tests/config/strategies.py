"""Configurations of every kind, for property tests."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from adohub.config import (
    Auth,
    Config,
    DeclaredChannel,
    Keepalive,
    Logging,
    Plugins,
    Presence,
    Redis,
    Role,
    Server,
    Sqlite,
    Storage,
    Token,
    Topics,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
FILLED = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
TEXTS = st.lists(FILLED, max_size=2).map(tuple)
COUNT = st.integers(1, 2**40)
SCALARS = st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT
FOREIGN = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)

SERVERS = st.builds(
    Server,
    host=FILLED,
    port=st.integers(0, 65535),
    unix_socket=TEXT,
    allowed_origins=TEXTS,
    max_connections=COUNT,
    max_message_bytes=COUNT,
    outbox_bytes=COUNT,
    drain_timeout_ms=st.integers(0, 9999),
)
STORAGES = st.builds(
    Storage,
    engine=FILLED,
    max_events=COUNT,
    max_age_s=COUNT,
    idempotency_window_s=st.integers(0, 9999),
    keep_ended_s=st.integers(0, 9999),
    sqlite=st.builds(Sqlite, path=FILLED, synchronous=st.sampled_from(["full", "normal"])),
    redis=st.builds(Redis, url=FILLED, prefix=FILLED),
    engines=st.dictionaries(st.sampled_from(["nats", "s3"]), FOREIGN),
)
TOKENS = st.lists(
    st.builds(Token, name=FILLED, sha256=st.binary(min_size=32, max_size=32).map(bytes.hex), roles=TEXTS),
    max_size=2,
    unique_by=lambda token: token.name,
).map(tuple)
ROLES = st.dictionaries(
    TEXT,
    st.builds(Role, publish=TEXTS, workers=st.sampled_from([(), ("attend", "list")]), admin=st.booleans()),
    max_size=2,
)
CHANNELS = st.dictionaries(
    TEXT,
    st.builds(
        DeclaredChannel,
        topics=st.lists(FILLED, min_size=1, max_size=2).map(tuple),
        key=TEXT,
        replay=st.sampled_from(["none", "last", "all"]),
        completes_on=TEXT,
        on_gap=st.sampled_from(["continue", "error"]),
        on_slow=st.sampled_from(["catch-up", "disconnect"]),
    ),
    max_size=2,
)
CONFIGS = st.builds(
    Config,
    server=SERVERS,
    keepalive=st.builds(
        Keepalive, enabled=st.booleans(), mode=st.sampled_from(["auto", "text"]), ping_ms=COUNT
    ),
    storage=STORAGES,
    logging=st.builds(Logging, level=st.sampled_from(["debug", "error"]), format=st.just("json")),
    presence=st.builds(Presence, grace_ms=st.integers(0, 99)),
    topics=st.builds(Topics, allow_undeclared=st.booleans()),
    auth=st.builds(Auth, allow_anonymous=st.booleans(), tokens=TOKENS, roles=ROLES),
    plugins=st.builds(Plugins, directories=TEXTS, disabled=TEXTS, strict=st.booleans()),
    plugin=st.dictionaries(TEXT, FOREIGN, max_size=2),
    channels=CHANNELS,
)


def leaf_keys(instance: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every key of `instance` that is no table, with its value."""
    found = []
    for attribute in attrs.fields(type(instance)):
        value = getattr(instance, attribute.name)
        if attrs.has(type(value)):
            found += leaf_keys(value, (*path, attribute.name))
        elif not isinstance(value, dict):
            found.append(((*path, attribute.name), value))
    return found
