"""A result that somebody else will have: nobody needs a task to wait for it.

Measured reason: a task for each publish that waits for storage cost a third of what the publish did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import structlog
import trio

_log = structlog.get_logger("adohub.pending")

T = TypeVar("T")
U = TypeVar("U")


class Pending(Generic[T]):
    """What will be known later: `await` it, or be called `when_done` and ask for the `result`."""

    __slots__ = ("_callbacks", "_error", "_is_done", "_value")

    def __init__(self) -> None:
        self._is_done = False
        self._error: Exception | None = None
        self._value: T
        self._callbacks: list[Callable[[], None]] = []

    def succeed(self, value: T) -> None:
        """It is `value`. Calls back whoever waits, in order. Raises RuntimeError the second time."""
        self._check()
        self._value = value
        self._finish()

    def fail(self, error: Exception) -> None:
        """There will be no value, because of `error`. Raises RuntimeError the second time."""
        self._check()
        self._error = error
        self._finish()

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is a result, or now if there is. It must not raise, nor take long."""
        if self._is_done:
            callback()
        else:
            self._callbacks.append(callback)

    def result(self) -> T:
        """The value. Raises the error if there is one, RuntimeError if it is not done."""
        if not self._is_done:
            raise RuntimeError("there is no result yet")
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, function: Callable[[T], U]) -> Pending[U]:
        """`function` of the value, which is called for each `result` that is asked for."""
        return _Then(self, function)

    def __await__(self) -> Generator[Any, Any, T]:
        return self._outcome().__await__()

    async def _outcome(self) -> T:
        done = trio.Event()
        self.when_done(done.set)
        await done.wait()
        return self.result()

    def _check(self) -> None:
        if self._is_done:
            raise RuntimeError("there is a result already")

    def _finish(self) -> None:
        self._is_done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - a stranger's code, run by whoever has the result
                _log.exception("what waited for a result has failed")


class _Then(Pending[U], Generic[T, U]):
    """A view of another pending result."""

    __slots__ = ("_function", "_source")

    def __init__(self, source: Pending[T], function: Callable[[T], U]) -> None:  # it has no state of its own
        self._source = source
        self._function = function

    def when_done(self, callback: Callable[[], None]) -> None:
        self._source.when_done(callback)

    def result(self) -> U:
        return self._function(self._source.result())
