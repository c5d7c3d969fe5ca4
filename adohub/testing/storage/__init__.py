"""What every storage engine promises (`adohub.Storage`), as checks that any engine can be put through.

Each check is an async function of an Engine that keeps nothing yet; it raises AssertionError where the engine
breaks its promise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from adohub.testing.storage import (
    following,
    idempotency,
    limits,
    locating,
    order,
    reading,
    revisions,
    surviving,
)
from adohub.testing.storage.words import CHECKS, DURABLE_CHECKS, Check, Engine

PATIENCE_S = 20.0
"""How long one check may take, in seconds."""

ROOMS = (order, reading, limits, idempotency, revisions, following, locating, surviving)
"""Where the checks are."""


async def check_storage(make: Callable[[], Awaitable[Engine]]) -> None:
    """Put what `make` makes through every check, each with an engine of its own.

    Raises AssertionError where one breaks the contract, trio.TooSlowError where it does not answer.
    """
    durable = (await make()).durable
    for one in (*CHECKS, *(DURABLE_CHECKS if durable else ())):
        with trio.fail_after(PATIENCE_S):
            await one(await make())


__all__ = ["CHECKS", "DURABLE_CHECKS", "PATIENCE_S", "Check", "Engine", "check_storage"]
