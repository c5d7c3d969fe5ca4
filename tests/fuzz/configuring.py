"""Configurations in which some value is of another kind, and some of them secret."""

from __future__ import annotations

from hypothesis import strategies as st

TABLES = (
    "server",
    "limits",
    "keepalive",
    "storage",
    "storage.sqlite",
    "storage.redis",
    "logging",
    "topics",
    "auth",
)
MORE_TABLES = (
    "auth.roles.a",
    "plugins",
    "plugin.events",
    "presence",
    "nonsense",
    'channels."a.b"',
    "server.port",
)
KEYS = (
    *(
        "host",
        "port",
        "tls_cert",
        "transformer",
        "websocket",
        "allowed_origins",
        "max_connections",
        "max_message_bytes",
    ),
    *(
        "outbox_bytes",
        "drain_notice",
        "enabled",
        "mode",
        "ping_ms",
        "engine",
        "max_events",
        "path",
        "url",
        "prefix",
        "level",
    ),
    *(
        "grace_ms",
        "allow_undeclared",
        "tokens",
        "publish",
        "subscribe",
        "workers",
        "admin",
        "directories",
        "topics",
        "replay",
    ),
    *("max_json_depth", "max_head_bytes", "sha256", "name", "prot", '""', '"a b"', "a.b"),
)
ODD_TOML = (
    *(
        "0",
        "-1",
        "9" * 500,
        "1e400",
        "nan",
        "-inf",
        "0x1f",
        "true",
        '""',
        '"a"',
        "'a'",
        '"""a\nb"""',
        '"\\ud83d"',
        '"\\u0000"',
    ),
    *(
        "1979-05-27",
        "07:32:00",
        "1979-05-27T07:32:00Z",
        "[]",
        "[1, 'a']",
        "{}",
        "{a = 1}",
        "[" * 500,
        "[" * 3000 + "]" * 3000,
        "",
    ),
)
CANARY = "hunter2-canary-9f8e7d"
"""A part of every secret."""


@st.composite
def toml_files(draw: st.DrawFn) -> bytes:
    """A configuration of real tables and keys, and of values of any kind."""
    lines = []
    for table in draw(st.lists(st.sampled_from([*TABLES, *MORE_TABLES]), max_size=5)):
        lines.append(f"[{table}]" if draw(st.integers(0, 9)) else f"[[{table}]]")
        keys = draw(st.lists(st.sampled_from(KEYS), max_size=4, unique=True))
        lines += [f"{key} = {draw(st.sampled_from(ODD_TOML))}" for key in keys]
    return "\n".join(lines).encode()


@st.composite
def toml_with_secrets(draw: st.DrawFn) -> bytes:
    """A configuration in which what is secret is of the wrong kind, or of the right one."""
    secret = draw(
        st.sampled_from(
            [
                f'"{CANARY}"',
                f'["{CANARY}"]',
                f'{{ a = "{CANARY}" }}',
                f'{{ "{CANARY}" = 1 }}',
                f'"redis://u:{CANARY}@h:x/0"',
            ]
        )
    )
    name, prefix = draw(st.sampled_from(["1", '""', '"ci"'])), draw(st.sampled_from(["1", "[]"]))
    token = f"[[auth.tokens]]\nname = {name}\nsha256 = {secret}\n"
    redis = f"[storage.redis]\nurl = {secret}\nprefix = {prefix}\n"
    return draw(st.sampled_from([token, redis, token + redis])).encode() + draw(toml_files())
