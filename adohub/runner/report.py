"""The events that tell of one command, in the shapes of the contract, in the order they happened."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import orjson
import trio

from adohub import model
from adohub.runner.pace import Pace
from adohub.runner.process import StreamName
from adohub.runner.progress import Lines, Meter, Progress
from adohub.runner.spool import Spool

CONTENT_BYTES = 256 * 1024
"""The most JSON that the content of one output event takes; longer content becomes several events."""


class Report:
    """Tells the hub, through the spool, of the command that works on `task` as `agent`."""

    def __init__(
        self, spool: Spool, *, task: str, agent: str, start: Progress, regex: re.Pattern[str] | None
    ) -> None:
        self._spool = spool
        self._task = task
        self._agent = agent
        self._latest = start
        self._meter = Meter(start, regex)
        self._lines: dict[StreamName, Lines] = {"stdout": Lines(), "stderr": Lines()}
        self._pace = Pace()
        self._held = trio.Event()
        self._begun_at = trio.current_time()

    async def begin(self) -> None:
        """The first event: nothing done yet."""
        await self._offer(self._latest)

    async def output(self, stream: StreamName, text: str) -> None:
        """What the command wrote, and the progress that its lines tell of."""
        timestamp = model.timestamp(model.now())
        for content in pieces(text):
            await self._spool.append(
                "agent.output",
                {
                    "taskId": self._task,
                    "agentId": self._agent,
                    "type": stream,
                    "content": content,
                    "timestamp": timestamp,
                },
            )
        for line in self._lines[stream].feed(text):
            await self._read(line)

    async def release_held(self) -> None:
        """Runs beside the command: tells of held progress when it is due, although nothing newer comes."""
        while True:
            await self._held.wait()
            self._held = trio.Event()
            while (due_at := self._pace.due_at) < math.inf:
                await trio.sleep_until(due_at)
                if self._pace.due_at <= trio.current_time():
                    await self._tell(self._pace.release(trio.current_time()))

    async def end(self, status: int) -> None:
        """The last events: the last progress, 100 if `status` is 0, and the completion."""
        duration = round((trio.current_time() - self._begun_at) * 1000)
        for lines in self._lines.values():
            for line in lines.rest():
                await self._read(line)
        await self._tell(self._pace.release(trio.current_time()))
        if status == 0 and self._latest.percent != 100:
            await self._tell([Progress(self._latest.phase, 100.0, self._latest.message)])
        await self._spool.append(
            "task.completed",
            {
                "taskId": self._task,
                "status": "completed" if status == 0 else "failed",
                "duration": duration,
                "artifacts": [],
            },
        )

    async def _read(self, line: str) -> None:
        progress = self._meter.read(line)
        if progress is not None:
            await self._offer(progress)

    async def _offer(self, progress: Progress) -> None:
        self._latest = progress
        await self._tell(self._pace.offer(progress, trio.current_time()))
        if self._pace.due_at < math.inf:
            self._held.set()

    async def _tell(self, changes: list[Progress]) -> None:
        for change in changes:
            payload: dict[str, Any] = {
                "taskId": self._task,
                "phase": change.phase,
                "progress": change.percent,
                "message": change.message,
                "timestamp": model.timestamp(model.now()),
            }
            await self._spool.append("task.progress", payload)


def pieces(text: str, limit: int = CONTENT_BYTES) -> Iterator[str]:
    """`text` in pieces whose JSON is at most `limit` bytes. An empty text has none."""
    if len(text) > 1 and len(orjson.dumps(text)) > limit:
        middle = len(text) // 2
        yield from pieces(text[:middle], limit)
        yield from pieces(text[middle:], limit)
    elif text:
        yield text
