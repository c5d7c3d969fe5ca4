"""A test looks at pages from here: in a real Chromium, moved by Playwright from a thread of its own.

    async with browser() as chromium, pages_of(FOLDER) as origin:
        page = await chromium.open(f"{origin}/?hub={hub.url}")
        await page.until_text("#status", "pending")
        assert await page.texts("#events li") == [...]

Playwright's objects belong to the thread that made them, so each call is handed to it. What waits there does
so for DEADLINE_S at most.
"""

from __future__ import annotations

import queue
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TypeVar

import outcome
import trio
from attrs import define, field
from playwright import sync_api as playwright

CHROMIUM = Path("/usr/bin/chromium")
DEADLINE_S = 40
_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

T = TypeVar("T")


@define(eq=False)
class Browser:
    """One Chromium with a profile of its own."""

    _work: queue.SimpleQueue[Callable[[playwright.BrowserContext], None] | None] = field(
        factory=queue.SimpleQueue, init=False
    )

    async def open(self, url: str) -> Page:
        """A new page at `url`, once it has loaded."""

        def opened(context: playwright.BrowserContext) -> Page:
            page = Page(self, context.new_page())
            page.watch()
            page.shown.goto(url)
            return page

        return await self.do(opened)

    async def do(self, call: Callable[[playwright.BrowserContext], T]) -> T:
        """What `call` returns in the browser's thread, or raises there."""
        done = trio.Event()
        ours = trio.lowlevel.current_trio_token()
        outcomes: list[outcome.Outcome[T]] = []

        def work(context: playwright.BrowserContext) -> None:
            outcomes.append(outcome.capture(call, context))
            ours.run_sync_soon(done.set)

        self._work.put(work)
        await done.wait()
        return outcomes[0].unwrap()

    def serve(self) -> None:
        """Run Chromium, and do what is asked for until `leave`; in a thread of its own."""
        assert CHROMIUM.exists(), f"there is no {CHROMIUM}: make test installs the package chromium"
        with TemporaryDirectory() as profile, playwright.sync_playwright() as library:
            context = library.chromium.launch_persistent_context(
                profile, executable_path=CHROMIUM, headless=True, args=_FLAGS
            )
            context.set_default_timeout(1000 * DEADLINE_S)
            for work in iter(self._work.get, None):
                work(context)
            context.close()

    def leave(self) -> None:
        """End once what was asked for is done."""
        self._work.put(None)


@define(eq=False)
class Page:
    """One page. `complaints` holds the exceptions that its scripts let escape."""

    _browser: Browser
    shown: playwright.Page = field(repr=False)
    complaints: list[str] = field(factory=list, init=False)

    def watch(self) -> None:
        """Hear its complaints."""
        self.shown.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def until_text(self, selector: str, text: str) -> None:
        """Return once the element says exactly `text`."""
        await self._do(lambda page: playwright.expect(page.locator(selector)).to_have_text(text, timeout=_MS))

    async def until_count(self, selector: str, count: int) -> None:
        """Return once there are exactly so many such elements."""
        await self._do(
            lambda page: playwright.expect(page.locator(selector)).to_have_count(count, timeout=_MS)
        )

    async def texts(self, selector: str) -> list[str]:
        """What each such element says."""
        return await self._do(lambda page: page.locator(selector).all_text_contents())

    async def click(self, selector: str) -> None:
        """Click the element, once it can be clicked."""
        await self._do(lambda page: page.click(selector))

    async def _do(self, call: Callable[[playwright.Page], T]) -> T:
        return await self._browser.do(lambda _: call(self.shown))


_MS = 1000 * DEADLINE_S


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser that ends with the context."""
    chromium = Browser()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, chromium.serve)
        try:
            yield chromium
        finally:
            chromium.leave()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@asynccontextmanager
async def pages_of(folder: Path) -> AsyncIterator[str]:
    """The origin at which the files of `folder` are served: http://127.0.0.1:PORT."""
    assert (folder / "index.html").exists(), f"{folder} is not built: make test builds it"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            await trio.to_thread.run_sync(server.shutdown)
            thread.join()
