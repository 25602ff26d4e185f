"""``headrace bench crash``: kill and starve the flows, and compare what is left."""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks import crash
from benchmarks.adt import crash as adt
from benchmarks.campaign import Campaign, Result
from benchmarks.crash import drains, one_of_two, outages
from benchmarks.wild import wild_plans
from replay import arguments
from state.errors import Misuse

OUTAGE_S = 30.0
SYSTEMS = {"market": (crash, 40_000), "adt": (adt, 6000)}
"""System -> its campaign, and how many messages it takes by default."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --system, --points, --downs, --seed, --count, --random and --also."""
    parser.add_argument("--system", choices=SYSTEMS, default="market", help="whose flows (market)")
    parser.add_argument("--points", type=int, default=50, metavar="N", help="kill points (50)")
    parser.add_argument(
        "--downs", type=int, default=3, metavar="N", help="of them with 15 s of down-time (3)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(1)")
    parser.add_argument(
        "--count",
        type=arguments.positive,
        metavar="N",
        help="messages (40,000; of adt 6,000)",
    )
    parser.add_argument(
        "--random",
        type=arguments.positive,
        metavar="SECONDS",
        help="instead, draw faults of all kinds from the seed for so long",
    )
    parser.add_argument(
        "--also",
        action="store_true",
        help="outages of 30 s of each server, Redis emptied, drains, one of two workers killed",
    )


def run(args: argparse.Namespace) -> int:
    """Print a line for each point and each run; return 1 where any run differs."""
    if args.system != "market" and (args.random or args.also):
        raise Misuse("--random and --also are of market alone")
    system, count = SYSTEMS[args.system]
    with tempfile.TemporaryDirectory(prefix="headrace-crash-") as directory:
        campaign = system.campaign(Path(directory), args.seed, args.count or count)
        return _wild(campaign, args) if args.random else _campaign(campaign, args)


def _wild(campaign: Campaign, args: argparse.Namespace) -> int:
    """Run what the seed draws until the time is over; a run that has begun is finished."""
    print(f"seed {args.seed}", flush=True)
    begin = time.monotonic()
    failed = _told("in peace, against its replay", campaign.reference())
    runs = 0
    for plan in wild_plans(args.seed):
        if time.monotonic() - begin > args.random:
            break
        runs += 1
        result = campaign.run(plan.points, partial(print, flush=True), plan.workers)
        failed += _told(f"run {runs} of seed {args.seed}, {plan.workers} workers", result)
    outcome = f"{failed} runs differ" if failed else "all equal"
    print(f"{runs} runs of seed {args.seed}: {outcome}, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


def _campaign(campaign: Campaign, args: argparse.Namespace) -> int:
    begin = time.monotonic()
    failed = _told("in peace, against its replay", campaign.reference())
    point = 0

    def tell(line: str) -> None:
        nonlocal point
        point += 1
        print(f"point {point:>2}/{args.points}: {line}", flush=True)

    plans = SYSTEMS[args.system][0].plans(args.seed, args.points, args.downs)
    for number, plan in enumerate(plans, start=1):
        result = campaign.run(plan.points, tell, plan.workers)
        failed += _told(f"run {number}, {plan.workers} workers", result)
    if args.also:
        failed += _told("outages", campaign.run(outages(OUTAGE_S), print))
        failed += _told("one of two workers killed", campaign.run(one_of_two(), print, workers=2))
        drained = campaign.run(drains(), print)
        failed += _told("drained, nothing worked on twice", drained, may_skip=False)
        failed += _told("Redis emptied: the flow stops and says so", campaign.emptied())
    outcome = f"{failed} runs differ" if failed else "all equal"
    print(f"{point} kill points: {outcome}, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


def _told(name: str, result: Result, *, may_skip: bool = True) -> int:
    """Print a run's outcome; return 1 where it is a failure."""
    faults = list(result.faults)
    if result.skipped and not may_skip:
        faults.append(f"{result.skipped} records worked on twice")
    outcome = "DIFFERS" if faults else "equal"
    print(f"{name}: {outcome}, {result.skipped:,} records found in their topics and skipped")
    if result.arrival is not None:
        print(f"  a replay of its topics was the measure: not the recordings, {result.arrival}")
    for fault in faults:
        print(f"  {fault[:1000]}")
    return 1 if faults else 0
