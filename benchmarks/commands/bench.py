"""``headrace bench``: measure what we claim, in one run on one machine."""

from __future__ import annotations

import argparse
import importlib
from typing import Protocol, cast

from state.errors import Misuse

BENCHMARKS = {
    "market": "benchmarks.commands.market",
    "risk": "benchmarks.market.risk",
    "adt": "benchmarks.adt.core",
    "mllp": "benchmarks.adt.mllp",
    "bulk": "benchmarks.adt.bulk",
    "history": "benchmarks.history",
    "pages": "benchmarks.pages",
    "crash": "benchmarks.commands.crash",
    "fuzz": "benchmarks.commands.fuzz",
    "feed": "benchmarks.commands.feed",
    "soak": "benchmarks.commands.soak",
    "week": "benchmarks.week",
}
"""Name -> module, in the order in which `headrace bench` runs them all."""


class Benchmark(Protocol):
    """What the module of a benchmark offers, as that of a command does."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the benchmark's options."""

    def run(self, args: argparse.Namespace) -> int:
        """Measure and print; return the exit code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare NAME..., and leave what follows them to the benchmark."""
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="[NAME...] [OPTION...]",
        help=f"{', '.join(BENCHMARKS)}; none for all; options belong to one, see NAME --help",
    )


def run(args: argparse.Namespace) -> int:
    """Run the benchmarks one after another; return the first exit code that is not 0."""
    names, options = _split(args.words)
    if options and len(names) != 1:
        raise Misuse(f"{options[0]}: options belong to one benchmark, name it")
    codes = [_run(name, options) for name in names or BENCHMARKS]
    return next((code for code in codes if code), 0)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the names, and the options behind them."""
    count = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    for name in words[:count]:
        if name not in BENCHMARKS:
            raise Misuse(f"there is no benchmark {name!r}: choose {', '.join(BENCHMARKS)}")
    return words[:count], words[count:]


def _run(name: str, options: list[str]) -> int:
    benchmark = cast(Benchmark, importlib.import_module(BENCHMARKS[name]))
    parser = argparse.ArgumentParser(prog=f"headrace bench {name}", description=benchmark.__doc__)
    benchmark.add_arguments(parser)
    return benchmark.run(parser.parse_args(options))
