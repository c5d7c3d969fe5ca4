"""Following one task from its first kept event to its end: what `watch` and `demo` have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from adohub.cli.view import LiveView, PlainView, View
from adohub.client import Client

TOPICS = ("task.progress", "task.completed", "agent.output")


async def follow(client: Client, task: str, see: Callable[[Mapping[str, Any]], None]) -> bool:
    """Hand every event of `task` to `see`, old ones first, until it is completed. True if it went well."""
    wanted = {"topics": TOPICS, "key": task, "replay": "all"}
    async with client.subscribe("stream.onEvent", wanted) as deliveries:
        async for delivery in deliveries:
            see(delivery.data)
            if delivery.data["topic"] == "task.completed":
                return bool(delivery.data["payload"]["status"] == "completed")
    raise RuntimeError("stream.onEvent ended, which it never does")


@contextmanager
def view_of(task: str) -> Iterator[View]:
    """A live view on a terminal, plain lines elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield PlainView(_write)
        return
    live = LiveView(console, task)
    with live.shown():
        yield live


def shown_in(view: View) -> Callable[[Mapping[str, Any]], None]:
    """For `follow`: each event goes to the part of `view` that shows its topic."""
    by_topic = {"task.progress": view.progress, "agent.output": view.output, "task.completed": view.completed}

    def see(event: Mapping[str, Any]) -> None:
        by_topic[event["topic"]](event["payload"])

    return see


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
