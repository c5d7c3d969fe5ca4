"""In TOML an engine's table stands in `[storage]` itself; in Python it is one of `Storage.engines`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from adohub.config.storage import Storage

ENGINES = attrs.fields(Storage).engines.name
"""The attribute that is no key."""

OWN_KEYS = tuple(attribute.name for attribute in attrs.fields(Storage) if attribute.name != ENGINES)
"""The keys of `[storage]` that adohub knows."""


def gather_engines(storage: Mapping[str, Any]) -> dict[str, Any]:
    """`[storage]` as the file has it, in the shape of the class: tables of unknown name are engines'."""
    engines = {
        name: table for name, table in storage.items() if name not in OWN_KEYS and isinstance(table, Mapping)
    }
    others = {name: value for name, value in storage.items() if name not in engines}
    return {ENGINES: engines, **others}


def spread_engines(storage: Mapping[str, Any]) -> dict[str, Any]:
    """The way back."""
    return {name: value for name, value in storage.items() if name != ENGINES} | dict(storage[ENGINES])
