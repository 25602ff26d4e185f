"""``headrace cut``: take a span of time out of a recording."""

from __future__ import annotations

import argparse

from replay import arguments
from replay.cutting import cut
from replay.keys import protection, seal_in_force
from replay.printing import print_recorded
from replay.progress import progress
from replay.recording import Recording
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RECORDING..., --from, --to, --out, --plaintext and --json."""
    arguments.add_recordings(parser)
    parser.add_argument(
        "--from", dest="from_ns", type=arguments.time, required=True, metavar="TIME"
    )
    parser.add_argument("--to", dest="to_ns", type=arguments.time, required=True, metavar="TIME")
    arguments.add_out_file(parser)
    arguments.add_plaintext(parser)
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the messages from ``--from`` until before ``--to``."""
    if args.from_ns >= args.to_ns:
        raise Misuse("--from must be before --to")
    recording = Recording(args.recordings, seal_in_force)
    protected = protection(recording.partitions, plaintext=args.plaintext)
    with progress("cut", len(recording)) as advance:
        count = cut(recording, args.from_ns, args.to_ns, args.out, advance, protected)
    print_recorded(args.out, count, as_json=args.json)
    return 0
