"""Market risk: figures, backtests, VaR against P&L, contributions and target weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from replay import arguments
from replay.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare DIR, --out and --json."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="what replay or export wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the page goes (DIR/report)")
    arguments.add_json(parser, "the files")


def run(args: argparse.Namespace) -> int:
    """Write the page and the pictures."""
    from replay.market.report_page import write_report

    out = args.out or args.directory / "report"
    with progress("report", None) as advance:
        files = [str(path) for path in write_report(args.directory, out, advance)]
    if args.json:
        print(orjson.dumps({"files": files}).decode())
    else:
        print(f"{files[0]}: the page, with {len(files) - 1} pictures beside it")
    return 0
