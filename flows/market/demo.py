"""The market's demo: a simulated session, or a recording, seen in the terminal and on the page."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from flows.market.dashboard import Figures, Watch, render
from flows.market.demo_ticks import SYMBOLS, Feed
from flows.market.demo_world import World, recorded, simulated, world

REFRESH_S = 0.25
LINE_S = 1.0


def run(args: argparse.Namespace, directory: Path, stop: threading.Event) -> int:
    """Run in ``directory`` until ``stop`` is set, or for a while; leave no process behind."""
    ticks = recorded(args.recording) if args.recording else simulated(SYMBOLS)
    print("starting the servers", flush=True)
    with world(directory, ticks) as made, ExitStack() as stack:
        print(f"{made}; starting the flows", flush=True)
        flows = [stack.enter_context(made.child("run", name)) for name in ticks.flows]
        for flow in flows:  # what the others load would delay the first ticks
            flow.wait_until_ready(stop)
        gateway = stack.enter_context(made.gateway(flows))
        gateway.wait_until_ready(stop)
        address = f"http://127.0.0.1:{gateway.http_port}/"
        print(f"the page: {address}", flush=True)
        if sys.stdout.isatty() and _has_display():
            webbrowser.open(address)
        with _fed(args, made) as check_feed:
            watch = Watch(flows[0].http_port, made.valkey.url, latency=args.recording is None)
            checks = [check_feed, *(child.check for child in (*flows, gateway))]
            figures = _show(args, stop, f"{made}; {address}", watch, checks)
        # The page first, which only reads. What the market says last is still written into history.
        drained = [child.end() for child in (gateway, *flows)]
        rows = made.history_rows()
    print(
        f"{figures.ticks:,} ticks, {figures.signals:,} signals in Redis, {rows:,} bars in "
        f"PostgreSQL; {'all drained' if all(drained) else 'not all drained'}; logs in {directory}"
    )
    return 0 if all(drained) else 1


def _has_display() -> bool:
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


@contextmanager
def _fed(args: argparse.Namespace, made: World) -> Iterator[Callable[[], None]]:
    """Have ticks sent; yield what raises the feed's failure."""
    if args.recording:
        words = ("publish", str(args.recording.resolve()), "--speed", str(args.speed))
        with made.child(*words) as publisher:
            yield publisher.check
    else:
        feed = Feed(made.cluster(), made.ticks.topic, made.ticks.partitions)
        feed.start()
        try:
            yield feed.check
        finally:
            feed.stop()


def _show(
    args: argparse.Namespace,
    stop: threading.Event,
    title: str,
    watch: Watch,
    checks: list[Callable[[], None]],
) -> Figures:
    """Show the figures until it is time to end; return the last ones."""
    console = Console()
    live = console.is_terminal and not args.no_tui
    begin = time.monotonic()
    figures = Figures()
    with (
        Live(console=console, auto_refresh=False, transient=False) if live else ExitStack() as view
    ):
        while not stop.wait(REFRESH_S if live else LINE_S):
            seconds = time.monotonic() - begin
            figures = watch.look(seconds)
            for check in checks:
                check()
            if isinstance(view, Live):
                view.update(render(figures, title), refresh=True)
            else:
                print(figures.line(), flush=True)
            if args.seconds is not None and seconds >= args.seconds:
                break
    return figures
