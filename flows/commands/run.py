"""``headrace run``: a system, or a flow of the user's own, until it is told to stop."""

from __future__ import annotations

import argparse
import sys

from flows import config
from flows.config import add_config_argument, load_settings
from flows.engine import logs
from flows.engine.generation import find_generation
from flows.engine.supervisor import Order, Stop, supervise
from flows.engine.systems import flow_modules, flow_name
from state.clock import NS
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flow and how to run it."""
    parser.add_argument(
        "flow", metavar="SYSTEM|FILE.py", help=f"{' or '.join(flow_modules())}, or a file"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (run.workers)")
    parser.add_argument(
        "--from",
        dest="start",
        default="",
        metavar="TIME",
        help="where a new generation starts reading: ISO 8601, earliest or latest (kafka.start)",
    )
    parser.add_argument("--generation", type=int, metavar="N", help="default: the newest there is")
    parser.add_argument("--debug", action="store_true", help="log tracebacks too")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the flow; SIGTERM and SIGINT drain it to a clean boundary."""
    name = flow_name(args.flow)
    settings = load_settings(args.config)
    logs.set_up(sys.stderr, config.secrets(settings), debug=args.debug, who=f"{name} ")
    workers = settings.run.workers if args.workers is None else args.workers
    if not 1 <= workers <= min(8, settings.kafka.shards):
        raise Misuse(
            f"--workers {workers}: choose 1 to {min(8, settings.kafka.shards)} (kafka.shards)"
        )
    root = settings.run.state_dir.resolve() / name
    generation = find_generation(root, args.generation, settings.run.generation)
    if args.start and generation.load() is not None:
        raise Misuse(
            f"generation {generation.number} has started already: "
            f"--from TIME needs a new one, --generation {generation.number + 1}"
        )
    order = Order(
        flow=args.flow,
        config=args.config,
        generation=generation,
        start=args.start,
        workers=workers,
        drain_s=settings.run.drain / NS,
        restarts=settings.run.restarts,
        debug=args.debug,
    )
    stop = Stop()
    with generation.locked():
        supervise(order, stop)
    return 0
