"""Whether storage takes events, as operators are told: once when it does not, once when it does again.

Whoever appends says how that went, and an engine may know by itself. A refusal counts until nothing has been
refused for CHECK_AGAIN_S: a disk that is all but full takes one event and refuses the next.
"""

from __future__ import annotations

import structlog
import trio

from adohub.errors import StorageError
from adohub.plugin.storage import Storage

CHECK_AGAIN_S = 1.0
"""How often storage is asked how it is, and whether it would take what it has refused, in seconds."""

_log = structlog.get_logger("adohub.journal")


class Trouble:
    """What keeps storage from taking events."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._refusal: str | None = None
        self._refused_at = 0.0
        self._logged: str | None = None

    @property
    def reason(self) -> str | None:
        """Why storage takes nothing just now, in words for an operator; None while it does."""
        return self._refusal or self._storage.trouble()

    def refused(self, error: Exception) -> StorageError:
        """Storage takes nothing, because of `error`, which is returned in words for an operator."""
        told = error if isinstance(error, StorageError) else _fault(error)
        self._refusal = str(told)
        self._refused_at = trio.current_time()
        if self._logged != self._refusal:
            self._log_begin(self._refusal, None if told is error else error)
        return told

    def taken(self) -> None:
        """Storage has taken something."""
        if self._refusal is not None and trio.current_time() >= self._refused_at + CHECK_AGAIN_S:
            self._refusal = None
            self._log_change()

    async def watch(self) -> None:
        """The task that asks: nobody may be publishing now."""
        while True:
            await trio.sleep(CHECK_AGAIN_S)
            if self._refusal is not None:
                await self._check()
            self._log_change()

    async def _check(self) -> None:
        try:
            await self._storage.check()
        except Exception as error:  # noqa: BLE001 - an engine is a stranger's code, here as in an append
            self.refused(error)
        else:
            self.taken()

    def _log_change(self) -> None:
        reason = self.reason
        if reason is not None and self._logged is None:
            self._log_begin(reason)
        elif reason is None and self._logged is not None:
            _log.info("storage takes events again")
            self._logged = None

    def _log_begin(self, reason: str, stranger: Exception | None = None) -> None:
        _log.error("storage takes no events", error=reason, exc_info=stranger)
        self._logged = reason


def _fault(error: Exception) -> StorageError:
    return StorageError(f"the storage engine is at fault: {type(error).__name__}")
