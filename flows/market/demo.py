"""The market's demo: a simulated session, or a recording, seen in the terminal and on the page."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from flows.demo.child import Child
from flows.demo.terminal import open_page, step
from flows.engine.kernels import is_warm
from flows.market.dashboard import Figures, Watch, render
from flows.market.demo_ticks import SYMBOLS, Feed
from flows.market.demo_world import World, recorded, simulated, world

REFRESH_S = 0.25
LINE_S = 1.0
LATER = "models"
"""Loads solvers for seconds, and the first figures need none: it starts once they are seen."""

BAR_S = 10.0
"""How long the figures wait for a first bar; that of a recording may be far away."""


def run(args: argparse.Namespace, directory: Path, stop: threading.Event) -> int:
    """Run in ``directory`` until ``stop`` is set, or for a while; leave no process behind."""
    ticks = recorded(args.recording) if args.recording else simulated(SYMBOLS)
    print("starting the servers and the page", flush=True)
    with world(directory, ticks) as made, ExitStack() as stack:
        feed = None if args.recording else Feed(made.cluster(), ticks.topic, ticks.partitions)
        flows = {name: made.child("run", name) for name in ticks.flows}
        gateway = stack.enter_context(made.gateway(flows.values()))
        address = open_page(gateway, stop)
        _start(made, flows, stack, stop, feed)
        with _fed(args, made, feed) as check_feed:
            redis_url = made.servers.valkey.url
            watch = Watch(flows["market"].http_port, redis_url, latency=feed is not None)
            checks = [check_feed, gateway.check]
            checks += [flow.check for name, flow in flows.items() if name != LATER]
            view = View(args, stop, watch, checks, f"{made}; {address}")
            with step("first bar"):
                view.wait_for_bars()
            if LATER in flows:
                checks.append(stack.enter_context(flows[LATER]).check)
            figures = view.show()
        # The page first, which only reads. What the market says last is still written into history.
        drained = [child.end() for child in (gateway, *flows.values())]
        rows = made.history_rows()
    print(
        f"{figures.ticks:,} ticks, {figures.signals:,} signals in Redis, {rows:,} bars in "
        f"PostgreSQL; {'all drained' if all(drained) else 'not all drained'}; logs in {directory}"
    )
    return 0 if all(drained) else 1


def _start(
    made: World,
    flows: dict[str, Child],
    stack: ExitStack,
    stop: threading.Event,
    feed: Feed | None,
) -> None:
    """Wait for the servers, then start the flows that the first figures need."""
    with step(f"servers: {made}"):
        made.wait_for_servers()
    with step("topics"):
        made.prepare_topics()
    if not is_warm():
        with step("kernels, compiled this once"):
            stack.enter_context(made.child("warm")).wait_until_ended(stop)
    first = [name for name in flows if name != LATER]
    with step(f"flows: {', '.join(first)}"):
        for name in first:
            stack.enter_context(flows[name])
        if feed is not None:
            feed.load()
        for name in first:  # what the others load would delay the first ticks
            flows[name].wait_until_ready(stop)


@contextmanager
def _fed(args: argparse.Namespace, made: World, feed: Feed | None) -> Iterator[Callable[[], None]]:
    """Have ticks sent; yield what raises the feed's failure."""
    if feed is None:
        words = ("publish", str(args.recording.resolve()), "--speed", str(args.speed or 1.0))
        with made.child(*words) as publisher:
            yield publisher.check
    else:
        feed.start()
        try:
            yield feed.check
        finally:
            feed.stop()


class View:
    """The figures in the terminal, from when the ticks began."""

    def __init__(
        self,
        args: argparse.Namespace,
        stop: threading.Event,
        watch: Watch,
        checks: list[Callable[[], None]],
        title: str,
    ) -> None:
        self._seconds = args.seconds
        self._plain = args.no_tui
        self._stop = stop
        self._watch = watch
        self._checks = checks
        self._title = title
        self._begin = time.monotonic()

    def wait_for_bars(self) -> None:
        """Return once there are bars, or it is time to show what else there is."""
        while not self._stop.wait(LINE_S / 10):
            figures = self._look()
            if figures.bars or figures.seconds > BAR_S:
                return

    def show(self) -> Figures:
        """Show the figures until it is time to end; return the last ones."""
        console = Console()
        live = console.is_terminal and not self._plain
        figures = Figures()
        screen = Live(console=console, auto_refresh=False, transient=False)
        with screen if live else ExitStack():
            while not self._stop.wait(REFRESH_S if live else LINE_S):
                figures = self._look()
                if live:
                    screen.update(render(figures, self._title), refresh=True)
                else:
                    print(figures.line(), flush=True)
                if self._seconds is not None and figures.seconds >= self._seconds:
                    break
        return figures

    def _look(self) -> Figures:
        """Return the figures of now; raises what a part of the demo died of."""
        figures = self._watch.look(time.monotonic() - self._begin)
        for check in self._checks:
            check()
        return figures
