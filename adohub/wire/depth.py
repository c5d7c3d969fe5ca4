"""How deep a value nests: told before anything that calls itself walks over it."""

from __future__ import annotations

from typing import Any

from adohub.errors import OverLimit

_CONTAINERS = (dict, list)


def may_be_deep(encoded: str | bytes, most: int) -> bool:
    """Whether what is in `encoded`, JSON or MessagePack, could nest deeper than `most`.

    Nearly always it could not, which is found out in no time: JSON has too few opening brackets for it. Those
    are left out that take the place of one just closed; within a text, where they do not, both are counted.
    """
    if len(encoded) <= 2 * most:
        return len(encoded) > most and not isinstance(encoded, str)
    if isinstance(encoded, str):
        openings = encoded.count("{") + encoded.count("[")
        return openings > most and openings - encoded.count("},{") - encoded.count("],[") > most
    return not encoded.startswith((b"{", b"[")) or encoded.count(b"{") + encoded.count(b"[") > most


def check_depth(value: Any, most: int) -> None:
    """Raises OverLimit if `value` nests deeper than `most`."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(most):
        if not level:
            return
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, _CONTAINERS)
        ]
    if level:
        raise OverLimit("max_json_depth", "BAD_REQUEST", f"this nests deeper than {most} levels")
