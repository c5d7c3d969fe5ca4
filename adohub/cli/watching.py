"""Following one task from its first kept event to its end: what `watch` and `demo` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from adohub.cli.streams import is_live, write
from adohub.cli.view import LiveView, PlainView, View
from adohub.client import Client, ConnectionLost

TOPICS = ("task.progress", "task.completed", "agent.output")


async def follow(client: Client, task: str, see: Callable[[Mapping[str, Any]], None]) -> bool:
    """Hand each event of `task`'s newest run to `see`, old ones first, to its end. True if it went well."""
    wanted = {"topics": TOPICS, "key": task, "replay": "all"}
    before = await _before_newest_run(client, task)
    async with client.subscribe("stream.onEvent", wanted, last_event_id=before) as deliveries:
        async for delivery in deliveries:
            see(delivery.data)
            if delivery.data["topic"] == "task.completed":
                return bool(delivery.data["payload"]["status"] == "completed")
    raise RuntimeError("stream.onEvent ended, which it never does")


async def is_known(client: Client, task: str) -> bool:
    """Whether the hub keeps anything of `task`."""
    return bool((await _history(client, TOPICS, task, limit=1))["events"])


async def _before_newest_run(client: Client, task: str) -> str | None:
    """The end of the run before the newest one; None if there has been one run at most.

    A task that is worked on again, under the same id, completes again. Progress after an end begins a run.
    """
    ends = await _ends(client, task)
    if not ends:
        return None
    newer = await _history(client, ["task.progress"], task, after=ends[-1], limit=1)
    return ends[-1] if newer["events"] else next(reversed(ends[:-1]), None)


async def _ends(client: Client, task: str) -> list[str]:
    """The ids of all that say that `task` has completed."""
    page = await _history(client, ["task.completed"], task)
    ends = [event["id"] for event in page["events"]]
    while page["next"] is not None:
        page = await _history(client, ["task.completed"], task, after=page["next"])
        ends += [event["id"] for event in page["events"]]
    return ends


async def _history(client: Client, topics: object, task: str, **more: object) -> Mapping[str, Any]:
    """A page of what is kept of `task`; asked for again if the connection breaks before it comes."""
    while True:
        try:
            page: Mapping[str, Any] = await client.query(
                "events.history", {"topics": topics, "key": task, **more}
            )
            return page
        except ConnectionLost:
            continue  # the query waits for the next connection


@contextmanager
def view_of(task: str) -> Iterator[View]:
    """A live view on a terminal, plain lines elsewhere."""
    if not is_live():
        yield PlainView(write)
        return
    live = LiveView(Console(force_terminal=True), task)
    with live.shown():
        yield live


def shown_in(view: View) -> Callable[[Mapping[str, Any]], None]:
    """For `follow`: each event goes to the part of `view` that shows its topic."""
    by_topic = {"task.progress": view.progress, "agent.output": view.output, "task.completed": view.completed}

    def see(event: Mapping[str, Any]) -> None:
        by_topic[event["topic"]](event["payload"])

    return see
