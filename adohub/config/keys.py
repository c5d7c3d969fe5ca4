"""What a key of the configuration says of itself, in words that every section uses."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from attrs.validators import deep_iterable, ge, gt, min_len


@frozen
class Example:
    """What an empty table could hold: one entry, shown in the annotated file as a comment."""

    name: str
    entry: object


def about(
    doc: str | None, *, unit: str = "", secret: bool = False, example: Example | None = None
) -> dict[str, Any]:
    """Metadata of one key: what the annotated file says of it, and whether its value may be shown."""
    return {"doc": doc, "unit": unit, "secret": secret, "example": example}


def lower(text: str) -> str:
    """`text` in lower case."""
    return text.lower()


POSITIVE = gt(0)
NOT_NEGATIVE = ge(0)
FILLED: Any = min_len(1)
FILLED_TEXTS = deep_iterable(FILLED)
