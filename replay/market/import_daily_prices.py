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
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE, --out, --weights, --portfolio, --close, --column, --symbol and --json."""
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
    parser.add_argument(
        "--column",
        default="",
        metavar="NAME",
        help="the prices, where a file holds one asset's bars",
    )
    parser.add_argument(
        "--symbol", default="", metavar="NAME", help="that asset (the file's name without its end)"
    )
    arguments.add_json(parser, "the counts")


def run(args: argparse.Namespace) -> int:
    """Write the recording; say how many gaps carried the last price."""
    from replay.market.daily_prices import import_daily_prices

    close = Close.of(args.close)
    if args.symbol and not args.column:
        raise Misuse("--symbol names the asset of --column: give both")
    symbol = args.symbol or args.file.name.partition(".")[0]
    table = PriceTable(args.file, args.column, symbol)
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
