"""Debian's Chromium on the page, over a whole demo: servers, flows, gateway and ticks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from flows.demo.child import Child
from flows.market.demo_ticks import SYMBOLS, Feed
from flows.market.demo_world import World, simulated, world
from tests import waiting

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 180_000
TICKS_PER_SECOND = 500
"""A tenth of the demo's: a page shows as much, and the machine has other tests to run."""


def eventually(fact: Callable[[], Any]) -> Any:
    """Return what ``fact``, a look at the page, returns once it is true.

    A look costs the browser and us some 10 ms each.
    """
    return waiting.eventually(fact, PATIENCE_MS / 1000, every_s=0.2)


@dataclass
class Site:
    """A running demo: its servers, and the gateway that serves the page."""

    world: World
    flows: list[Child]
    gateway: Child

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.gateway.http_port}/"


@dataclass
class Visit:
    """One open page, and all that went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def watch(self, host: str) -> None:
        """Note errors of the page and requests to any host but ``host``."""

        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.faults.append(f"{message.type}: {message.text} ({message.location})")

        def asked(request: Request) -> None:
            where = urlsplit(request.url)
            if where.scheme not in ("data", "blob") and where.netloc != host:
                self.faults.append(f"a request to {request.url}")

        self.page.on("console", heard)
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("request", asked)
        self.page.on("websocket", lambda socket: self._socket(socket.url, host))

    def _socket(self, url: str, host: str) -> None:
        if urlsplit(url).netloc != host:
            self.faults.append(f"a socket to {url}")

    def figure(self, name: str) -> str:
        """Return the figure under a name."""
        of = self.page.locator(".panel:not([hidden]) dt").get_by_text(name, exact=True)
        return of.first.locator("xpath=../dd").locator(".value").inner_text()

    def until(self, script: str) -> None:
        """Wait until an expression of JavaScript is true."""
        # Not wait_for_function: the page's policy forbids what evaluates texts inside of it.
        eventually(lambda: self.page.evaluate(script))


def require_chromium() -> None:
    """Skip where there is no Chromium, or fail where there has to be one."""
    if CHROMIUM.exists():
        return
    reason = f"{CHROMIUM} is missing: apt-get install chromium"
    if os.environ.get("HEADRACE_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser without a profile."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def site(directory: Path) -> Iterator[Site]:
    """Start everything, with simulated ticks that go on until the end."""
    stop = Event()
    with world(directory, simulated(SYMBOLS)) as made, ExitStack() as stack:
        made.wait_for_servers()
        made.prepare_topics()
        flows = [stack.enter_context(made.child("run", name)) for name in made.ticks.flows]
        for flow in flows:
            flow.wait_until_ready(stop)
        gateway = stack.enter_context(made.gateway(flows))
        gateway.wait_until_ready(stop)
        ticks = Feed(made.cluster(), made.ticks.topic, made.ticks.partitions, TICKS_PER_SECOND)
        ticks.start()
        stack.callback(ticks.stop)
        yield Site(made, flows, gateway)


@contextmanager
def visit(browser: Browser, address: str, **context: object) -> Iterator[Visit]:
    """Open the page in a context of its own."""
    options = {"viewport": {"width": 1440, "height": 1000}} | context
    opened = browser.new_context(**options)  # type: ignore[arg-type]  # options of its own
    opened.set_default_timeout(PATIENCE_MS)
    made = Visit(opened.new_page())
    made.watch(urlsplit(address).netloc)
    made.page.goto(address)
    yield made
    opened.close()


@contextmanager
def hurried(browser: Browser, address: str) -> Iterator[Visit]:
    """Open the page with a clock that `later` turns on."""
    with visit(browser, address + "nothing") as seen:
        seen.page.clock.install()
        seen.page.goto(address)
        yield seen


def later(seen: Visit, seconds: int = 8) -> None:
    """Let time pass for the page; less than after which it takes the feed for silent.

    What it then hears is of now, so its idea of the server's time is right again.
    """
    seen.page.clock.fast_forward(seconds * 1000)
    seen.page.wait_for_timeout(700)
