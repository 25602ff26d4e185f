"""A market session: trades and quotes with all that real feeds do wrong."""

from __future__ import annotations

import argparse

from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --seed, --count, --symbols, --partitions, --out and --json."""
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument(
        "--count", type=arguments.positive, required=True, metavar="N", help="messages"
    )
    parser.add_argument("--symbols", type=arguments.positive, default=20, metavar="N", help="(20)")
    arguments.add_partitions(parser)
    arguments.add_out_file(parser)
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the session; the same arguments give the same file."""
    from replay.market.session import MAX_SYMBOLS, Session, record_session

    if not 0 <= args.seed < 1 << 64:
        raise Misuse("--seed must be a whole number from 0 to 2^64 - 1")
    if args.symbols > MAX_SYMBOLS:
        raise Misuse(f"--symbols must be at most {MAX_SYMBOLS}")
    session = Session(args.seed, args.count, args.symbols, args.partitions)
    with progress("simulate", args.count) as advance:
        count = record_session(session, args.out, advance)
    print_recorded(args.out, count, as_json=args.json)
    return 0
