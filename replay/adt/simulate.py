"""A hospital: its messages, with the mistakes that people make and the disorder of real feeds."""

from __future__ import annotations

import argparse

from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --seed, --count, --partitions, --out, --plaintext and --json."""
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument(
        "--count", type=arguments.positive, required=True, metavar="N", help="messages"
    )
    arguments.add_partitions(parser)
    arguments.add_out_file(parser)
    arguments.add_plaintext(parser)
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the hospital's messages; the same arguments give the same messages."""
    from connectors.adt.envelope import TOPIC
    from replay.adt.sending import record_hospital
    from replay.keys import protection

    if not 0 <= args.seed < 1 << 64:
        raise Misuse("--seed must be a whole number from 0 to 2^64 - 1")
    protected = protection([TOPIC], plaintext=args.plaintext, makes_key=True)
    with progress("simulate", args.count) as advance:
        count = record_hospital(
            args.seed, args.count, args.out, args.partitions, protected, advance
        )
    print_recorded(args.out, count, as_json=args.json)
    return 0
