"""What the contract promises and this version cannot do yet: said plainly, never ignored.

Reads the plain tree, so that it is told together with every other problem. A version that learns one of these
deletes its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adohub.structuring import Fault

_LATER = "is not available in this version"


def not_available_yet(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault for each value of `tree` that is legal but not available in this version."""
    server = _table(tree, "server")
    if server.get("drain_notice") == "reconnect":
        yield Fault(("server", "drain_notice"), f'"reconnect" {_LATER}; use "close"')


def _table(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = tree.get(name)
    return table if isinstance(table, Mapping) else {}
