"""``headrace diff``: same, or the first difference of each output, or of each partition."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import orjson

from replay import arguments
from replay.compare import Difference, compare
from replay.compare_recordings import compare_recordings
from replay.keys import seal_in_force


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two directories, or two recordings."""
    parser.add_argument("left", type=Path, metavar="DIR|RECORDING")
    parser.add_argument("right", type=Path, metavar="DIR|RECORDING")
    arguments.add_json(parser, "the differences")


def run(args: argparse.Namespace) -> int:
    """Compare; exit with 1 where anything differs."""
    recordings = args.left.is_file() and args.right.is_file()
    if recordings:
        found = compare_recordings(args.left, args.right, seal_in_force)
    else:
        found = compare(args.left, args.right)
    differences = [difference for difference in found.values() if difference is not None]
    if args.json:
        rows = [asdict(difference) for difference in differences]
        print(orjson.dumps({"same": not rows, "differences": rows}).decode())
    else:
        for name, difference in found.items():
            print(_text(name, difference, args, "message" if recordings else "line"))
    return 1 if differences else 0


def _text(name: str, difference: Difference | None, args: argparse.Namespace, unit: str) -> str:
    if difference is None:
        return f"{name}: same"
    if difference.line == 0:
        return f"{name}: only in {args.right if difference.left is None else args.left}"
    sides = [
        f"  {directory}: {'(the file has ended)' if line is None else line}"
        for directory, line in ((args.left, difference.left), (args.right, difference.right))
    ]
    return "\n".join([f"{name}: {unit} {difference.line} differs", *sides])
