"""Whether storage takes events, as operators are told: once when it does not, once when it does again.

It is in trouble until it has refused nothing for CHECK_AGAIN_S: a disk that is all but full takes one event
and refuses the next.
"""

from __future__ import annotations

import structlog
import trio

from adohub.errors import StorageError
from adohub.plugin.storage import Storage

CHECK_AGAIN_S = 1.0
"""How often storage that takes nothing is asked whether it would, in seconds."""

_log = structlog.get_logger("adohub.journal")


class Trouble:
    """What keeps storage from taking events: whoever appends says how that went."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.reason: str | None = None
        """Why storage takes nothing just now, in words for an operator; None while it does."""
        self._begun = trio.Event()
        self._refused_at = 0.0

    def begin(self, error: Exception) -> StorageError:
        """Storage takes nothing, because of `error`, which is returned in words for an operator."""
        told = error if isinstance(error, StorageError) else _fault(error)
        if self.reason != str(told):
            stranger = None if told is error else error
            _log.error("storage takes no events", error=str(told), exc_info=stranger)
        self.reason = str(told)
        self._refused_at = trio.current_time()
        self._begun.set()
        return told

    def pass_by(self) -> None:
        """Storage has taken something."""
        if self.reason is not None and trio.current_time() >= self._refused_at + CHECK_AGAIN_S:
            _log.info("storage takes events again")
            self.reason = None
            self._begun = trio.Event()

    async def watch(self) -> None:
        """The task that asks storage that takes nothing whether it would: nobody may be publishing now."""
        while True:
            await self._begun.wait()
            await trio.sleep(CHECK_AGAIN_S)
            try:
                await self._storage.check()
            except Exception as error:  # noqa: BLE001 - an engine is a stranger's code, here as in an append
                self.begin(error)
            else:
                self.pass_by()


def _fault(error: Exception) -> StorageError:
    return StorageError(f"the storage engine is at fault: {type(error).__name__}")
