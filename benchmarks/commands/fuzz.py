"""``headrace bench fuzz``: damaged HL7 messages and MLLP streams through all that reads them."""

from __future__ import annotations

import argparse
import time

from benchmarks.adt.fuzz import fuzz_messages, fuzz_streams
from benchmarks.adt.guard import Failure
from replay import arguments
from replay.progress import progress

PARTS = {"messages": fuzz_messages, "streams": fuzz_streams}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --messages, --streams, --only, --seed and --begin."""
    for name in PARTS:
        parser.add_argument(
            f"--{name}", type=arguments.positive, default=100_000, metavar="N", help="(100,000)"
        )
    parser.add_argument("--only", choices=PARTS, help="one part (both)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(1)")
    parser.add_argument("--begin", type=int, default=0, metavar="N", help="the first input (0)")


def run(args: argparse.Namespace) -> int:
    """Print what came of each part; return 1 at the first failure, which names its input."""
    for name in (args.only,) if args.only else PARTS:
        count = getattr(args, name)
        began_s = time.monotonic()
        try:
            with progress(name, count) as advance:
                guard = PARTS[name](args.seed, args.begin, count, advance)
        except Failure as failure:
            print(f"seed {args.seed}: {failure}")
            return 1
        outcomes = ", ".join(f"{n:,} {what}" for what, n in sorted(guard.outcomes.items()))
        print(
            f"{count:,} {name} of seed {args.seed} from {args.begin}: {outcomes}; "
            f"the slowest took {guard.slowest_s:.2f} s of CPU; {time.monotonic() - began_s:.0f} s",
            flush=True,
        )
    return 0
