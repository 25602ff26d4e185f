"""``headrace demo``: a system on one machine, with servers of its own (flows/<system>/demo.py)."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import signal
import threading
from pathlib import Path

from flows.engine import logs
from flows.engine.generation import locked
from flows.engine.systems import systems
from state.errors import Misuse

DIRECTORY = Path(".headrace/demo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to show, and for how long."""
    parser.add_argument(
        "systems", nargs="*", metavar="SYSTEM", help=f"{' or '.join(demos())} ({demos()[0]})"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end by itself (else Ctrl-C)")
    parser.add_argument(
        "--recording", type=Path, metavar="FILE", help="the ticks of a recording instead"
    )
    parser.add_argument(
        "--speed",
        type=_positive,
        metavar="X",
        help="how fast a recording (1) or a hospital (300) runs",
    )
    parser.add_argument("--no-tui", action="store_true", help="print a line each second")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def demos() -> list[str]:
    """Return the systems that have a demo; the first is shown to who names none."""
    names = [system.name for system in sorted(systems(), key=lambda each: not each.first)]
    return [name for name in names if importlib.util.find_spec(f"flows.{name}.demo")]


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C, or for a while; leave no process behind."""
    known = demos()
    unknown = [system for system in args.systems if system not in known]
    if unknown:
        raise Misuse(f"there is no demo of {unknown[0]!r}: choose {', '.join(known)}")
    if len(args.systems) > 1:
        raise Misuse("one demo at a time: name one system")
    if args.recording is not None and not args.recording.is_file():
        raise Misuse(f"there is no recording {args.recording}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    demo = importlib.import_module(f"flows.{args.systems[0] if args.systems else known[0]}.demo")
    with (
        locked(DIRECTORY, "a demo is already running here: end it first"),
        (DIRECTORY / "demo.log").open("w") as log,
    ):
        logs.set_up(log, ())  # the terminal is for the figures
        code: int = demo.run(args, DIRECTORY, stop)
        return code
