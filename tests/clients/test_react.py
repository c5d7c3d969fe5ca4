"""React pages live on the hub: queries, mutations and subscriptions by @trpc's hooks, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import pytest
import trio

from adohub.config import Config, Server
from tests.cli.processes import history, publish, serving, sqlite_at
from tests.clients.browser import Browser, Page, browser, pages_of
from tests.clients.puppet import HERE
from tests.running import completed, open_peer, progress, running_hub, until
from tests.severing import severing_proxy

PAGES = HERE / "react" / "dist"
DEADLINE_S = 180
CRASHES, PER_ROUND = 3, 20
TOPIC = "task.progress"

Hooks = Literal["classic", "options"]
Via = Literal["ws", "sse"]
EACH_HOOKS = pytest.mark.parametrize("hooks", ["classic", "options"])
EACH_VIA = pytest.mark.parametrize("via", ["ws", "sse"])


async def opened(
    chromium: Browser, origin: str, hub: str, via: Via, hooks: Hooks, path: str = "tracked.onTaskProgress"
) -> Page:
    asked = {"hub": hub, "via": via, "hooks": hooks, "path": path, "task": "t"}
    return await chromium.open(f"{origin}/?{urlencode(asked)}")


def allowing(*origins: str) -> Config:
    return Config(server=Server(port=0, allowed_origins=origins))


@EACH_HOOKS
@EACH_VIA
async def test_a_page_of_another_origin_asks_publishes_and_watches(via: Via, hooks: Hooks) -> None:
    async with browser() as chromium, pages_of(PAGES) as origin, running_hub(allowing(origin)) as hub:
        page = await opened(chromium, origin, hub.url, via, hooks, "stream.onTaskProgress")
        await page.until_text("#health", "ok")
        await page.until_text("#status", "pending")
        await page.click("#publish")
        await page.until_count("#events li", 1)
        (event,) = await history(hub.url, TOPIC)
        await page.until_text("#published", event["id"])
        async with open_peer(hub.url) as publisher:
            await publisher.publish(TOPIC, progress("another", 1, "of another task"))
            await publisher.publish(TOPIC, progress("t", 2, "from elsewhere"))
            await publisher.publish("task.completed", completed("t"))
        await page.until_count("#events li", 2)
        if (via, hooks) != ("ws", "options"):  # that hook hears of a completion over SSE alone
            await page.until_text("#status", "idle")
        assert await page.texts("#events li") == ["pressed", "from elsewhere"]
        assert page.complaints == []


@EACH_HOOKS
async def test_a_page_shows_what_the_hub_refuses(hooks: Hooks) -> None:
    async with browser() as chromium, pages_of(PAGES) as origin, running_hub(allowing(origin)) as hub:
        page = await opened(chromium, origin, hub.url, "ws", hooks, "stream.onNothing")
        await page.until_text("#error", "NOT_FOUND")
        await page.until_text("#status", "error")


@EACH_VIA
async def test_a_page_of_an_origin_that_is_not_allowed_gets_nothing(via: Via) -> None:
    async with browser() as chromium, pages_of(PAGES) as origin:
        async with running_hub(allowing("http://elsewhere.example")) as hub, open_peer(hub.url) as publisher:
            await publisher.publish(TOPIC, progress("t", 1, "secret"))
            async with severing_proxy(hub.port) as proxy:
                page = await opened(chromium, origin, f"ws://127.0.0.1:{proxy.port}", via, "options")
                if via == "ws":
                    await until(lambda: proxy.connections == 3)  # refused twice, and tried again
                else:
                    await page.until_text("#status", "error")
                    await page.until_text("#health", "error: Failed to fetch")
                assert await page.texts("#events li") == []


@EACH_HOOKS
@EACH_VIA
async def test_a_page_survives_crashes_of_the_hub_and_shows_each_event_once_in_order(
    via: Via, hooks: Hooks, tmp_path: Path
) -> None:
    with trio.fail_after(DEADLINE_S):
        async with browser() as chromium, pages_of(PAGES) as origin:
            toml = f'[server]\nallowed_origins = ["{origin}"]\n' + sqlite_at(tmp_path / "hub.db")
            port, page, published = "0", None, 0
            for round_ in range(CRASHES + 1):
                async with serving(tmp_path, toml, port=port) as hub:
                    port = hub.port
                    page = page or await opened(chromium, origin, hub.url, via, hooks)
                    await page.until_text("#status", "pending")
                    numbers = range(published, published + PER_ROUND)
                    await publish(hub.url, *((TOPIC, progress("t", 1, str(number))) for number in numbers))
                    published += PER_ROUND
                    if round_ != 1:  # once it crashes before the page has seen anything for certain
                        await page.until_count("#events li", published)
                    await hub.kill()
            assert page is not None
            assert await page.texts("#events li") == [str(number) for number in range(published)]
            assert page.complaints == []
