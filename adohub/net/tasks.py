"""What runs for one connection beside its own task, in the nursery that all connections share.

Law: none of these tasks outlives its connection, none can end another's. Measured reason for no nursery of
their own: an idle connection needs none of the kilobyte that one takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


class Tasks:
    """The tasks of one connection. `on_fault` is told of an exception that one of them ends with."""

    __slots__ = ("_nursery", "_on_fault", "_over", "_scopes")

    def __init__(self, nursery: trio.Nursery, on_fault: Callable[[Exception], None]) -> None:
        self._nursery = nursery
        self._on_fault = on_fault
        self._scopes: dict[trio.CancelScope, None] | None = None
        self._over: trio.Event | None = None

    def start(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run `task` until it ends or the connection does."""
        if self._scopes is None:
            self._scopes = {}
        scope = trio.CancelScope()
        self._scopes[scope] = None
        self._nursery.start_soon(self._run, scope, task)

    async def _run(self, scope: trio.CancelScope, task: Callable[[], Awaitable[None]]) -> None:
        try:
            with scope:
                await task()
        except Exception as error:  # noqa: BLE001 - a fault in one connection is not the others'
            self._on_fault(error)
        finally:
            assert self._scopes is not None
            del self._scopes[scope]
            if not self._scopes:
                self._scopes = None
                if self._over is not None:
                    self._over.set()

    async def end(self) -> None:
        """Cancel them all and wait for their ends, also when cancelled: none of them puts its own off."""
        while self._scopes:
            self._over = trio.Event()
            for scope in self._scopes:
                scope.cancel()
            with trio.CancelScope(shield=True):
                await self._over.wait()
