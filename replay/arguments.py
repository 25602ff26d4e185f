"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from state.clock import iso_time_ns


def positive(text: str) -> int:
    """Return a whole number from 1 on, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def positive_float(text: str) -> float:
    """Return a number above 0, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def time(text: str) -> int:
    """Return ns since 1970 of an ISO 8601 time, for argparse."""
    try:
        return iso_time_ns(text)
    except ValueError as error:
        reason = f"{text!r} is no time: write it as 2013-10-07T13:30:00+00:00"
        raise argparse.ArgumentTypeError(reason) from error


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """Declare RECORDING..."""
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING")


def add_files(parser: argparse.ArgumentParser) -> None:
    """Declare FILE..."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")


def add_out_file(parser: argparse.ArgumentParser) -> None:
    """Declare --out FILE."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the recording to write"
    )


def add_out_directory(parser: argparse.ArgumentParser) -> None:
    """Declare --out DIR."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare --json."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def add_plaintext(parser: argparse.ArgumentParser) -> None:
    """Declare --plaintext of a command that writes recordings."""
    parser.add_argument(
        "--plaintext", action="store_true", help="leave secret topics in clear: do not seal"
    )


def add_partitions(parser: argparse.ArgumentParser) -> None:
    """Declare --partitions N."""
    parser.add_argument(
        "--partitions", type=positive, default=1, metavar="N", help="the topic's partitions (1)"
    )


def add_import(parser: argparse.ArgumentParser) -> None:
    """Declare FILE|DIR..., --out, --partitions, --plaintext and --json."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="FILE|DIR",
        help="a file, or a directory: all files in it and below, by name",
    )
    add_out_file(parser)
    add_partitions(parser)
    add_plaintext(parser)
    add_json(parser, "the count")
