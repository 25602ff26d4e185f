"""Throughput, sink rates and latency of the market flow, over real servers."""

from __future__ import annotations

import argparse

from benchmarks.machine import Cores, facts
from benchmarks.market import latency, orders, sinks, throughput
from benchmarks.market.rig import Options, Run, servers
from benchmarks.report import Report
from replay import arguments
from state.errors import Misuse

PARTS = "abcdef"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which parts to measure, and how much."""
    positive = arguments.positive
    parser.add_argument(
        "--only",
        default=PARTS,
        metavar="PARTS",
        help="a share of a bare loop, b multiple of stock Bytewax, c packed frames, d sinks, "
        "e latency, f an order's decision; such as ae (all)",
    )
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="a to d (5)")
    parser.add_argument(
        "--messages", type=positive, default=1_000_000, metavar="N", help="a, b (1,000,000)"
    )
    parser.add_argument(
        "--ticks", type=positive, default=20_000_000, metavar="N", help="c (20,000,000)"
    )
    parser.add_argument(
        "--records", type=positive, default=100_000, metavar="N", help="d (100,000)"
    )
    parser.add_argument(
        "--seconds", type=positive, default=60, metavar="N", help="e, f, after the warm-up (60)"
    )
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; a goal that is missed is printed as missed, and is no failure."""
    parts = tuple(args.only)
    if not parts or set(parts) - set(PARTS):
        raise Misuse(f"--only {args.only}: some of {PARTS}")
    options = Options(parts, args.repeats, args.messages, args.ticks, args.records, args.seconds)
    measure(options, Report(args.json, facts()))
    return 0


def measure(options: Options, report: Report) -> None:
    """Run the chosen parts over servers of their own, and report."""
    cores = Cores.here()
    with servers(cores) as rig:
        report.facts |= {"kafka": rig.kafka.kind, "pinned": str(cores)}
        report.begin()
        run = Run(rig, options, report)
        if "a" in options.parts or "b" in options.parts:
            throughput.run_json(run, loop="a" in options.parts, stock="b" in options.parts)
        if "c" in options.parts:
            throughput.run_frames(run)
        if "d" in options.parts:
            sinks.run(run)
        if "e" in options.parts:
            latency.run(run)
        if "f" in options.parts:
            orders.run(run)
    report.end()
