"""The file beside the database: one hub at a time holds it, and notes in it how far the database has come.

Law: the note is never ahead of what has been committed. A database that has not come so far is an older one
in the place of the one that was used last, or has lost its end.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from adohub import Position, StorageError

_NOTE_BYTES = 100
"""The longest note, with its end of line."""


@frozen
class Lock:
    """Held from `take` to `release`, or to the end of the process."""

    _descriptor: int

    @classmethod
    def take(cls, database: Path) -> Lock:
        """The lock of `database`. Raises StorageError if another hub holds it."""
        descriptor = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise StorageError(f"{database} is in use by another adohub") from error
        return cls(descriptor)

    def note(self, head: Position) -> None:
        """The database has come as far as `head`. A note that cannot be written stays behind, no worse."""
        with suppress(OSError):
            os.pwrite(self._descriptor, f"{head}\n".encode(), 0)

    def noted(self) -> Position | None:
        """How far the database has come for certain, if that is known."""
        line, _, _ = os.pread(self._descriptor, _NOTE_BYTES, 0).partition(b"\n")
        return Position.parse(line.decode("ascii", errors="replace"))

    def release(self) -> None:
        """Let the next hub have it."""
        os.close(self._descriptor)
