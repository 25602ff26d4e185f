"""QuantConnect Lean's US equity ticks, the archives as they are, into market.ticks."""

from __future__ import annotations

import argparse

from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE..., --out, --partitions and --json."""
    arguments.add_files(parser)
    arguments.add_out_file(parser)
    arguments.add_partitions(parser)
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the recording."""
    from replay.market.lean import import_lean

    with progress("import", len(args.files)) as advance:
        count = import_lean(args.files, args.out, args.partitions, advance)
    print_recorded(args.out, count, as_json=args.json)
    return 0
