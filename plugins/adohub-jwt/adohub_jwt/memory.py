"""What was found of a token, so that one that is shown again and again is checked once.

Law: it is bounded, and of the token only the SHA-256 is in it.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """The newest `most` findings, each for `lasts_s` seconds of whatever clock `now` is of."""

    def __init__(self, most: int, lasts_s: float) -> None:
        self._most = most
        self._lasts_s = lasts_s
        self._found: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, token: str, now: float) -> T | None:
        """What is remembered of `token`."""
        at, found = self._found.get(_digest(token), (now - self._lasts_s, None))
        return found if 0 <= now - at < self._lasts_s else None

    def put(self, token: str, found: T, now: float) -> None:
        """Remember `found` of `token`."""
        digest = _digest(token)
        self._found.pop(digest, None)
        self._found[digest] = now, found
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def forget(self) -> None:
        """All of it."""
        self._found.clear()


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
