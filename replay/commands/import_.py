"""``headrace import``: turn real-world files into a recording."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import orjson

from replay import arguments
from replay.jsonl import UNITS_NS, Fields, import_jsonl
from replay.market.daily_prices import (
    DEFAULT_CLOSE,
    EQUAL,
    Close,
    import_daily_prices,
    read_holding,
)
from replay.market.lean import import_lean
from replay.market.price_table import PriceTable
from replay.progress import progress
from replay.report import print_recorded
from state.errors import Misuse

_OPTIONS = {
    "lean": (),
    "jsonl": ("topic", "key", "timestamp", "timestamp_unit"),
    "daily-prices": ("weights", "portfolio", "close"),
}
"""What only one kind of file needs to be told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare KIND, FILE..., --out and --partitions, and the options of single kinds."""
    parser.add_argument(
        "kind",
        choices=list(_OPTIONS),
        help="QuantConnect Lean's US equity ticks, JSON lines, or a CSV table of closing prices",
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
    parser.add_argument(
        "--weights", metavar="equal|FILE", help="daily-prices: what the portfolio holds (equal)"
    )
    parser.add_argument(
        "--portfolio", metavar="NAME", help="daily-prices: its name (equal, or the file's)"
    )
    parser.add_argument(
        "--close", metavar="'HH:MM ZONE'", help=f"daily-prices: when sessions end ({DEFAULT_CLOSE})"
    )
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the recording."""
    _refuse_options_of_others(args)
    if args.kind == "daily-prices":
        return _daily_prices(args)
    if args.kind == "lean":
        with progress("import", len(args.files)) as advance:
            count = import_lean(args.files, args.out, args.partitions, advance)
    else:
        topic, fields = _jsonl_options(args)
        with progress("import", None) as advance:
            count = import_jsonl(args.files, args.out, topic, fields, args.partitions, advance)
    print_recorded(args.out, count, as_json=args.json)
    return 0


def _daily_prices(args: argparse.Namespace) -> int:
    if len(args.files) > 1 or args.partitions > 1:
        raise Misuse("daily-prices takes one FILE, and its topics have one partition")
    close = Close.of(args.close or DEFAULT_CLOSE)
    table = PriceTable(args.files[0])
    holding = read_holding(args.weights or EQUAL, args.portfolio, table.symbols)
    with progress("import", None) as advance:
        count = import_daily_prices(table, args.out, close, holding, advance)
    if args.json:
        told = {"file": str(args.out), "messages": count, "gaps": table.gaps}
        print(orjson.dumps(told).decode())
    else:
        print_recorded(args.out, count, as_json=False)
        print(f"{table.gaps:,} gaps carried the last price")
    return 0


def _refuse_options_of_others(args: argparse.Namespace) -> None:
    for kind, names in _OPTIONS.items():
        for name in names:
            if kind != args.kind and getattr(args, name) is not None:
                raise Misuse(f"--{name.replace('_', '-')} is for {kind}, not for {args.kind}")


def _jsonl_options(args: argparse.Namespace) -> tuple[str, Fields]:
    for name in ("topic", "key", "timestamp"):
        if getattr(args, name) is None:
            raise Misuse(f"jsonl needs --{name}")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", args.topic):
        raise Misuse(f"--topic {args.topic!r}: Kafka allows letters, digits, '.', '_' and '-'")
    unit = UNITS_NS[args.timestamp_unit or "ns"]
    return args.topic, Fields(args.key, args.timestamp, unit)
