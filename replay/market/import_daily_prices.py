"""A CSV table of daily closing prices into market.closes, with a portfolio to hold them."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from replay import arguments
from replay.market.close import DEFAULT_CLOSE, Close
from replay.market.holding import EQUAL, read_holding
from replay.market.price_table import PriceTable
from replay.printing import print_recorded
from replay.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE, --out, --weights, --portfolio, --close and --json."""
    parser.add_argument("file", type=Path, metavar="FILE")
    arguments.add_out_file(parser)
    parser.add_argument(
        "--weights", default=EQUAL, metavar="equal|FILE", help="what the portfolio holds (equal)"
    )
    parser.add_argument("--portfolio", metavar="NAME", help="its name (equal, or the file's)")
    parser.add_argument(
        "--close",
        default=DEFAULT_CLOSE,
        metavar="'HH:MM ZONE'",
        help=f"when sessions end ({DEFAULT_CLOSE})",
    )
    arguments.add_json(parser, "the counts")


def run(args: argparse.Namespace) -> int:
    """Write the recording; say how many gaps carried the last price."""
    from replay.market.daily_prices import import_daily_prices

    close = Close.of(args.close)
    table = PriceTable(args.file)
    holding = read_holding(args.weights, args.portfolio, table.symbols)
    with progress("import", None) as advance:
        count = import_daily_prices(table, args.out, close, holding, advance)
    if args.json:
        told = {"file": str(args.out), "messages": count, "gaps": table.gaps}
        print(orjson.dumps(told).decode())
    else:
        print_recorded(args.out, count, as_json=False)
        print(f"{table.gaps:,} gaps carried the last price")
    return 0
