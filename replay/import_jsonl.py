"""JSON lines, one message a line, its bytes unchanged."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress
from state.clock import NS
from state.errors import Misuse

UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NS}
"""Units of time -> how many ns they are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE..., --out, --partitions, --plaintext, --json, and where a line holds what."""
    arguments.add_files(parser)
    arguments.add_out_file(parser)
    arguments.add_partitions(parser)
    arguments.add_plaintext(parser)
    parser.add_argument("--topic", required=True, help="the topic of the messages")
    parser.add_argument(
        "--key", required=True, metavar="FIELD", help="the field with a message's key"
    )
    parser.add_argument(
        "--timestamp", required=True, metavar="FIELD", help="the field with the event time"
    )
    parser.add_argument(
        "--timestamp-unit", choices=list(UNITS_NS), default="ns", help="the unit of that field (ns)"
    )
    parser.add_argument(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="where lines go that cannot be used; without it the first of them ends the import",
    )
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the recording."""
    from replay.jsonl import Fields, import_jsonl
    from replay.keys import protection

    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", args.topic):
        raise Misuse(f"--topic {args.topic!r}: Kafka allows letters, digits, '.', '_' and '-'")
    fields = Fields(args.key, args.timestamp, UNITS_NS[args.timestamp_unit])
    protected = protection([args.topic], plaintext=args.plaintext, makes_key=True)
    with progress("import", None) as advance:
        count, rejected = import_jsonl(
            args.files, args.out, args.topic, fields, args.partitions, args.rejects, advance,
            protected,
        )  # fmt: skip
    print_recorded(args.out, count, as_json=args.json)
    if rejected:
        print(f"{args.rejects}: {rejected:,} lines could not be used", file=sys.stderr)
    return 0
