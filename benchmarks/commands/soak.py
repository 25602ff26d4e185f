"""``headrace bench soak``: minutes at full speed, and how the memory of the worker grows."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.soak import MB, Outcome, Sample, soak
from replay import arguments

WARM_UP_S = 120.0
LINE_EVERY = 10
GOAL = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --minutes."""
    parser.add_argument(
        "--minutes", type=arguments.positive_float, default=10.0, metavar="N", help="(10)"
    )


def run(args: argparse.Namespace) -> int:
    """Print a line each ten seconds and the outcome; return 1 where the memory grew."""
    seconds = args.minutes * 60
    warm_up_s = min(WARM_UP_S, seconds / 2)
    with tempfile.TemporaryDirectory(prefix="headrace-soak-") as directory:
        outcome = soak(
            Path(directory),
            warm=lambda sample: sample.seconds >= warm_up_s,
            done=lambda sample: sample.seconds >= seconds,
            tell=_tell,
        )
    _print(outcome, warm_up_s)
    return 1 if outcome.growth >= GOAL else 0


def _tell(sample: Sample) -> None:
    if round(sample.seconds) % LINE_EVERY == 0:
        print(
            f"{sample.seconds:5.0f} s  RSS {sample.rss / MB:7.1f} MB  "
            f"{sample.consumed:>12,} ticks  lag {sample.lag:>9,}",
            flush=True,
        )


def _print(outcome: Outcome, warm_up_s: float) -> None:
    verdict = "met" if outcome.growth < GOAL else "MISSED"
    peak = max(sample.rss for sample in outcome.samples)
    print(f"throughput          {outcome.ticks_per_s:,.0f} ticks/s (JSON, durable, one worker)")
    print(f"symbols             {outcome.symbols:,} came, most of them went")
    print(f"topics on disk      {outcome.topic_bytes / MB:,.0f} MB in the end")
    print(f"RSS peak            {peak / MB:.1f} MB")
    print(
        f"RSS growth          {outcome.growth:+.2%} from {warm_up_s:.0f} s to the end "
        f"(goal: below {GOAL:.0%}, {verdict})"
    )
