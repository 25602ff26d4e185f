"""``headrace report``: an HTML page with pictures of what a replay or an export holds."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from replay import arguments
from replay.market.report import write_report
from replay.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM, DIR and --out."""
    parser.add_argument("system", choices=["market"])
    parser.add_argument("directory", type=Path, metavar="DIR", help="what replay or export wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the page goes (DIR/report)")
    arguments.add_json(parser, "the files")


def run(args: argparse.Namespace) -> int:
    """Write the page and the pictures."""
    out = args.out or args.directory / "report"
    with progress("report", None) as advance:
        files = [str(path) for path in write_report(args.directory, out, advance)]
    if args.json:
        print(orjson.dumps({"files": files}).decode())
    else:
        print(f"{files[0]}: the page, with {len(files) - 1} pictures beside it")
    return 0
