"""``headrace demo``: everything on one machine, seen in the terminal and on the page."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from flows import logs
from flows.dashboard import Figures, Watch, render
from flows.demo import World, recorded, simulated, world
from flows.demo_ticks import SYMBOLS, Feed
from flows.generation import locked
from state.errors import Misuse

DIRECTORY = Path(".headrace/demo")
REFRESH_S = 0.25
LINE_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to show, and for how long."""
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="market")
    parser.add_argument("--seconds", type=float, metavar="N", help="end by itself (else Ctrl-C)")
    parser.add_argument(
        "--recording", type=Path, metavar="FILE", help="the ticks of a recording instead"
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="how fast a recording runs (1)"
    )
    parser.add_argument("--no-tui", action="store_true", help="print a line each second")


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C, or for a while; leave no process behind."""
    unknown = [system for system in args.systems if system != "market"]
    if unknown:
        raise Misuse(f"there is no demo of {unknown[0]!r}: choose market")
    if args.recording is not None and not args.recording.is_file():
        raise Misuse(f"there is no recording {args.recording}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        locked(DIRECTORY, "a demo is already running here: end it first"),
        (DIRECTORY / "demo.log").open("w") as log,
    ):
        logs.set_up(log, ())  # the terminal is for the figures
        return _run(args, stop)


def _run(args: argparse.Namespace, stop: threading.Event) -> int:
    ticks = recorded(args.recording) if args.recording else simulated(SYMBOLS)
    print("starting the servers", flush=True)
    with world(DIRECTORY, ticks) as made, ExitStack() as stack:
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
        f"PostgreSQL; {'all drained' if all(drained) else 'not all drained'}; logs in {DIRECTORY}"
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
