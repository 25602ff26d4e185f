"""``headrace import``: turn real-world files into a recording."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from replay import arguments
from replay.jsonl import UNITS_NS, Fields, import_jsonl
from replay.market.lean import import_lean
from replay.progress import progress
from replay.report import print_recorded
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare KIND, FILE..., --out and --partitions, and what jsonl needs."""
    parser.add_argument(
        "kind", choices=["lean", "jsonl"], help="QuantConnect Lean's US equity ticks, or JSON lines"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    arguments.add_out_file(parser)
    arguments.add_partitions(parser)
    parser.add_argument("--topic", help="jsonl: the topic of the messages")
    parser.add_argument("--key", metavar="FIELD", help="jsonl: the field with a message's key")
    parser.add_argument("--timestamp", metavar="FIELD", help="jsonl: the field with the event time")
    parser.add_argument(
        "--timestamp-unit", choices=list(UNITS_NS), help="jsonl: the unit of that field (ns)"
    )
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the recording."""
    if args.kind == "lean":
        _refuse_jsonl_options(args)
        with progress("import", len(args.files)) as advance:
            count = import_lean(args.files, args.out, args.partitions, advance)
    else:
        topic, fields = _jsonl_options(args)
        with progress("import", None) as advance:
            count = import_jsonl(args.files, args.out, topic, fields, args.partitions, advance)
    print_recorded(args.out, count, as_json=args.json)
    return 0


def _refuse_jsonl_options(args: argparse.Namespace) -> None:
    for name in ("topic", "key", "timestamp", "timestamp_unit"):
        if getattr(args, name) is not None:
            raise Misuse(f"--{name.replace('_', '-')} is for jsonl; lean files say it themselves")


def _jsonl_options(args: argparse.Namespace) -> tuple[str, Fields]:
    for name in ("topic", "key", "timestamp"):
        if getattr(args, name) is None:
            raise Misuse(f"jsonl needs --{name}")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", args.topic):
        raise Misuse(f"--topic {args.topic!r}: Kafka allows letters, digits, '.', '_' and '-'")
    unit = UNITS_NS[args.timestamp_unit or "ns"]
    return args.topic, Fields(args.key, args.timestamp, unit)
