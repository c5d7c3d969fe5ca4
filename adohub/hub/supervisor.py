"""Runs sources: each in its own task, restarted with backoff when it raises, never felt by the hub."""

from __future__ import annotations

import random
from collections.abc import Callable

import structlog
import trio

from adohub.plugin.contracts import Publish, Source

FIRST_RESTART_S = 0.5
"""How long a source rests after its first crash, in seconds; doubled for each that follows."""

LONGEST_REST_S = 60.0
"""The longest rest between two runs, in seconds."""

HEALTHY_AFTER_S = 60.0
"""A run longer than this, in seconds, counts as healthy: the next crash is a first one again."""

_log = structlog.get_logger("adohub.sources")


async def supervise(
    source: Source,
    publish: Publish,
    on_restart: Callable[[str], None] = lambda _: None,
    *,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Run `source` until it returns. An exception of its own is logged and the source is run again."""
    rest = FIRST_RESTART_S
    while True:
        started_at = trio.current_time()
        try:
            await source.run(publish)
        except Exception:  # noqa: BLE001 - a stranger's code: whatever it raises ends here, and is told
            _log.exception("source crashed", source=source.name)
        else:
            _log.info("source finished", source=source.name)
            return
        if trio.current_time() - started_at > HEALTHY_AFTER_S:
            rest = FIRST_RESTART_S
        await trio.sleep(rest * (0.5 + jitter() / 2))
        on_restart(source.name)
        rest = min(rest * 2, LONGEST_REST_S)
