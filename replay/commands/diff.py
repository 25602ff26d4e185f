"""``headrace diff``: same, or the first difference of each output."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import orjson

from replay import arguments
from replay.compare import Difference, compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two directories."""
    parser.add_argument("left", type=Path, metavar="DIR")
    parser.add_argument("right", type=Path, metavar="DIR")
    arguments.add_json(parser, "the differences")


def run(args: argparse.Namespace) -> int:
    """Compare; exit with 1 where anything differs."""
    found = compare(args.left, args.right)
    differences = [difference for difference in found.values() if difference is not None]
    if args.json:
        rows = [asdict(difference) for difference in differences]
        print(orjson.dumps({"same": not rows, "differences": rows}).decode())
    else:
        for name, difference in found.items():
            print(_text(name, difference, args))
    return 1 if differences else 0


def _text(name: str, difference: Difference | None, args: argparse.Namespace) -> str:
    if difference is None:
        return f"{name}: same"
    if difference.line == 0:
        return f"{name}: only in {args.right if difference.left is None else args.left}"
    sides = [
        f"  {directory}: {'(the file has ended)' if line is None else line}"
        for directory, line in ((args.left, difference.left), (args.right, difference.right))
    ]
    return "\n".join([f"{name}: line {difference.line} differs", *sides])
