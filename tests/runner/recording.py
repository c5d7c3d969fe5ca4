"""A client that keeps what is published, and can be away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio
from attrs import define, field

from adohub.errors import PeerError


@define(eq=False)
class Recorder:
    """Publishes to a list. `away()` makes every publish wait until `back()`."""

    events: list[dict[str, Any]] = field(factory=list)
    keys: list[str] = field(factory=list)
    batches: list[int] = field(factory=list)
    refused: set[str] = field(factory=set)
    """Contents that are refused; one of them refuses its whole batch."""
    refusals: list[PeerError] = field(factory=list)
    """Raised one after another, before anything is taken."""
    _here: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self._here.set()

    def away(self) -> None:
        self._here = trio.Event()

    def back(self) -> None:
        self._here.set()

    async def publish_many(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        await trio.lowlevel.checkpoint()
        await self._here.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        for event in events:
            if event["payload"].get("content") in self.refused:
                raise PeerError("BAD_REQUEST", f"{event['payload']['content']} is bad")
        self.batches.append(len(events))
        self.events += [{"topic": event["topic"], **event["payload"]} for event in events]
        self.keys += [event["idempotencyKey"] for event in events]
        return [str(number) for number in range(len(events))]

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["topic"] == topic]

    def text(self, stream: str = "stdout") -> str:
        return "".join(event["content"] for event in self.of("agent.output") if event["type"] == stream)

    @property
    def completions(self) -> list[str]:
        return [event["status"] for event in self.of("task.completed")]
