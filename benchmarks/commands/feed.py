"""``headrace bench feed``: many clients of the live feed, one that stops, one that is killed."""

from __future__ import annotations

import argparse

from benchmarks.machine import Cores, facts
from benchmarks.report import Report
from benchmarks.web import broadcast, resume, stopped
from benchmarks.web.rig import Load, rig
from replay import arguments

PARTS = (broadcast.PART, stopped.PART, resume.PART)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which parts to measure, and how much."""
    positive = arguments.positive
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument(
        "--clients", type=positive, default=1000, metavar="N", help="broadcast, stopped (1000)"
    )
    parser.add_argument("--repeats", type=positive, default=5, help="broadcast, stopped (5)")
    parser.add_argument(
        "--rate", type=positive, metavar="N", help="updates a second (200; resume 20,000)"
    )
    parser.add_argument("--seconds", type=positive, metavar="N", help="of each run (20; resume 60)")
    parser.add_argument("--kills", type=positive, default=100, metavar="N", help="resume (100)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="resume (1)")
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; return 1 where the killed client did not see what the other saw.

    A goal that is missed is printed as missed, and is no failure.
    """
    parts = (args.only,) if args.only else PARTS
    load = Load(args.clients, args.rate or 200, args.seconds or 20)
    plan = resume.Plan(args.seconds or 60, args.rate or 20_000, args.kills, args.seed)
    cores = Cores.here()
    report = Report(args.json, facts() | {"pinned": str(cores)})
    report.begin()
    same = True
    with rig(cores) as servers:
        if broadcast.PART in parts:
            broadcast.run(servers, load, args.repeats, report)
        if stopped.PART in parts:
            stopped.run(servers, load, args.repeats, report)
        if resume.PART in parts:
            same = resume.run(servers, plan, report)
    report.end()
    return 0 if same else 1
