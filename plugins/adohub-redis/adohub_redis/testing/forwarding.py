"""Bytes carried both ways between two streams until either ends; then both are closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

Gate = Callable[[], Awaitable[None]]
"""Awaited before anything is passed on."""


async def join(one: trio.abc.Stream, other: trio.abc.Stream, gate: Gate = trio.lowlevel.checkpoint) -> None:
    """Carry what `one` says to `other` and back."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry, one, other, gate, nursery.cancel_scope)
            nursery.start_soon(_carry, other, one, gate, nursery.cancel_scope)
    finally:
        for stream in (one, other):
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)


async def _carry(
    source: trio.abc.Stream, sink: trio.abc.Stream, gate: Gate, joined: trio.CancelScope
) -> None:
    try:
        async for chunk in source:
            await gate()
            await sink.send_all(chunk)
        await gate()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await gate()
    joined.cancel()
