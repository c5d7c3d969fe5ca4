"""The configuration: frozen attrs classes, read from TOML and environment, written back without secrets."""

from adohub.config.annotate import annotated, write_default
from adohub.config.auth import Auth, Role, Token, UnixPeer
from adohub.config.dumping import dump
from adohub.config.limits import Limits
from adohub.config.loading import load, locate
from adohub.config.sections import (
    Config,
    DeclaredChannel,
    Keepalive,
    Logging,
    Plugins,
    Presence,
    Server,
    Topics,
)
from adohub.config.storage import Redis, Sqlite, Storage

__all__ = [
    "Auth",
    "Config",
    "DeclaredChannel",
    "Keepalive",
    "Limits",
    "Logging",
    "Plugins",
    "Presence",
    "Redis",
    "Role",
    "Server",
    "Sqlite",
    "Storage",
    "Token",
    "Topics",
    "UnixPeer",
    "annotated",
    "dump",
    "load",
    "locate",
    "write_default",
]
