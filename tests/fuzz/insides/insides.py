"""`GET /insides`: what only a hub's own process knows, for `tests.fuzz.barrage`.

How many tasks, threads and descriptors there are, how many blocks of memory Python has in use once garbage
has been collected, and the longest turn of the event loop since it was last asked: for so long nobody was
served. A turn's time is told twice, by the clock and by the processor, because on a busy machine the clock
also counts what other processes did meanwhile. The first answer begins the watch.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

import trio
from attrs import define

from adohub import Route, RouteRequest, RouteResponse, hookimpl


@define(eq=False)
class Turns(trio.abc.Instrument):
    """The longest turn, in seconds."""

    longest_s: float = 0.0
    longest_cpu_s: float = 0.0
    _began: tuple[float, float] | None = None

    def after_io_wait(self, timeout: float) -> None:
        self._began = time.perf_counter(), time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        if self._began is not None:
            began, cpu_began = self._began
            self.longest_s = max(self.longest_s, time.perf_counter() - began)
            self.longest_cpu_s = max(self.longest_cpu_s, time.thread_time() - cpu_began)

    def begin(self) -> None:
        """Forget what was, and the turn under way."""
        self.longest_s, self.longest_cpu_s, self._began = 0.0, 0.0, None


turns = Turns()


def entries(folder: str) -> int:
    return len(list(Path(folder).iterdir()))


async def insides(request: RouteRequest) -> RouteResponse:
    """What there is now, and the longest turn since the last answer."""
    gc.collect()
    told = {
        "blocks": sys.getallocatedblocks(),
        "descriptors": entries("/proc/self/fd"),
        "threads": entries("/proc/self/task"),
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "turn_s": turns.longest_s,
        "turn_cpu_s": turns.longest_cpu_s,
    }
    turns.begin()
    trio.lowlevel.add_instrument(turns)  # once: it is a set
    return RouteResponse(200, json.dumps(told).encode(), "application/json")


@hookimpl
def adohub_http_routes(config: object) -> list[Route]:
    return [Route("GET", "/insides", insides)]
