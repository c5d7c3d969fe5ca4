"""The command line reads plain JSON from any hub, whatever transformer the hub's other clients use."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.processes import adohub, completed, progress, serving

SUPERJSON = '[server]\ntransformer = "superjson"\n'


async def test_a_hub_that_speaks_superjson_is_spoken_to_all_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path, SUPERJSON) as hub:
        for topic, payload in (("task.progress", progress("t", 40)), ("task.completed", completed("t"))):
            published = await adohub("publish", topic, json.dumps(payload), "--url", hub.url)
            assert (published.status, published.err) == (0, "")
        watched = await adohub("watch", "t", "--json", "--url", hub.url)
        assert watched.status == 0
        events = [json.loads(line) for line in watched.lines]
        assert [event["topic"] for event in events] == ["task.progress", "task.completed"]
        assert events[0]["payload"]["progress"] == 40
        status = await adohub("status", "--json", "--url", hub.url)
        assert json.loads(status.out)["status"] == "ok"
