"""A week of real ticks: import, replay, and the bars against polars and the vendor's own.

7 to 11 October 2013, all trades and quotes of QuantConnect Lean's sample. The bars of a
replay must equal a recomputation that shares no code with it; how far the vendor's own
second bars agree says what they count as a trade.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from benchmarks.market.polars_bars import polars_bars
from benchmarks.market.vendor import second_bars, trades
from state.clock import NS
from state.errors import HeadraceError, Misuse

DATA = Path(__file__).parents[2] / "shared/data/market"
REPLAY_GOAL_S = 30.0
INTERVALS_NS = {"1s": NS, "1m": 60 * NS}
PRICES = ("open", "high", "low", "close")
BITS = 32
MOVING_BITS = 0x2807
"""Regular and extended hours: the vendor lets only trades with one of these bits move a price."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data and what to leave out."""
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="Lean's files")
    parser.add_argument(
        "--cuts", action="store_true", help="also batches of 7 and 4096 at 1 and 2 workers"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print; 1 where a bar differs, a hash differs or the goal is missed."""
    ticks = sorted((args.data / "us_equity_tick").glob("*.zip"))
    if not ticks:
        raise Misuse(f"there are no Lean ticks in {args.data}: give --data DIR")
    with tempfile.TemporaryDirectory(prefix="headrace-week-") as name:
        found = _measure(args, ticks, Path(name))
    vendors = sorted((args.data / "us_equity_bars").glob("second_*_trade.zip"))
    found["agreement"] = agreement(_of(ticks, "trade"), vendors)
    print(orjson.dumps(found).decode() if args.json else "\n".join(_lines(found)))
    good = found["bars_that_differ"] == 0 and found["same_hashes"] and found["goal_met"]
    return 0 if good else 1


def _measure(args: argparse.Namespace, ticks: list[Path], directory: Path) -> dict[str, Any]:
    recording = directory / "week.parquet"
    import_s, made = _timed("import", "lean", *ticks, "--out", recording)
    replay_s, files = _timed("replay", "market", recording, "--out", directory / "replayed")
    hashes = {file["name"]: file["sha256"] for file in files["files"]}
    cuts = _cuts(recording, directory / "again") if args.cuts else ()
    same = all(
        hashes == {file["name"]: file["sha256"] for file in again["files"]} for again in cuts
    )
    kept = trades(_of(ticks, "trade")).filter(~pl.col("suspicious"))
    return {
        "ticks": made["messages"],
        "import_s": round(import_s, 2),
        "replay_s": round(replay_s, 2),
        "goal_met": replay_s <= REPLAY_GOAL_S,
        "cuts": args.cuts,
        "same_hashes": same,
        "lines": {file["name"]: file["lines"] for file in files["files"]},
        "hashes": hashes,
        "bars": sum(file["lines"] for file in files["files"] if file["name"] == "bars.jsonl"),
        "bars_that_differ": differing(directory / "replayed" / "bars.jsonl", kept),
    }


def _cuts(recording: Path, out: Path) -> Iterator[Any]:
    for batch, workers in product((7, 4096), (1, 2)):
        cut = ("--batch", str(batch), "--workers", str(workers))
        yield _timed("replay", "market", recording, "--out", out, *cut)[1]


def _timed(*words: str | Path) -> tuple[float, Any]:
    """Return how many seconds a command took, its start included, and its answer."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "flows", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HeadraceError(f"headrace {words[0]} failed: {done.stderr}")
    return time.perf_counter() - begin, orjson.loads(done.stdout)


def _of(files: Sequence[Path], kind: str) -> list[Path]:
    return [path for path in files if path.stem.endswith(kind)]


def differing(bars: Path, kept: pl.DataFrame) -> int:
    """Return how many bars of a replay are not those that polars makes of ``kept``.

    Prices, starts and counts are compared exactly, volume and VWAP to 1e-12: polars sums in
    an order of its own.
    """
    ours = pl.read_ndjson(bars)
    wrong = 0
    for name, interval_ns in INTERVALS_NS.items():
        theirs = polars_bars(kept, interval_ns)
        both = theirs.join(
            ours.filter(pl.col("interval") == name),
            on=["symbol", "start_ns"],
            how="full",
            suffix="_ours",
            coalesce=True,
        )
        exact = [pl.col(c).eq_missing(pl.col(f"{c}_ours")) for c in (*PRICES, "trades")]
        near = [
            ((pl.col(c) - pl.col(f"{c}_ours")).abs() <= 1e-12 * pl.col(c)).fill_null(value=False)
            for c in ("volume", "vwap")
        ]
        wrong += both.filter(~pl.all_horizontal(*exact, *near)).height
    return wrong


@dataclass(frozen=True)
class Agreement:
    """The share of seconds in which bars by some rule are the vendor's, by symbol."""

    rule: str
    by_symbol: dict[str, float]
    excluded_bits: int = 0

    @property
    def mean(self) -> float:
        """The mean over the symbols."""
        return sum(self.by_symbol.values()) / len(self.by_symbol)


def agreement(ticks: Sequence[Path], bars: Sequence[Path]) -> list[Agreement]:
    """Return how far the vendor's bars agree with ours, with a mask's, and with its own rule's.

    Seconds of either side count, on the days of which both are there. No suspicious trade
    counts; the mask grows by the bit that helps most, until none does.
    """
    days = {path.stem.split("_")[2] for path in bars}
    kept = trades(path for path in ticks if path.stem.split("_")[1] in days)
    kept = kept.filter(~pl.col("suspicious"))
    vendor = second_bars(bars)
    plain = best = _masked(kept, vendor, 0)
    while True:
        masks = [best.excluded_bits | 1 << bit for bit in range(BITS)]
        tried = [
            _masked(kept, vendor, mask)
            for mask in masks
            if mask != best.excluded_bits and _hits(kept, mask & ~best.excluded_bits)
        ]
        better = max(tried, key=lambda found: found.mean, default=best)
        if better.mean <= best.mean:
            break
        best = better
    theirs = vendor_rule(kept)
    shares = _shares(theirs, vendor, PRICES)
    whole = _shares(theirs, vendor, (*PRICES, "volume"))
    rules = [Agreement("vendor's rule", shares), Agreement("vendor's rule, volume too", whole)]
    return [plain, best, *rules]


def vendor_rule(kept: pl.DataFrame) -> pl.DataFrame:
    """Return second bars by the rule that the vendor's were found to follow.

    A trade without one of `MOVING_BITS` moves no price and opens no bar; its size is added to
    the bar of its second, or where there is none to the last one before.
    """
    moves = (pl.col("bits") & MOVING_BITS) != 0
    price = pl.col("price").filter(moves)
    second = pl.col("ts_ns") - pl.col("ts_ns") % NS
    return (
        kept.sort("symbol", "ts_ns", "row")
        .with_columns(start_ns=pl.when(moves.any().over("symbol", second)).then(second))
        .with_columns(pl.col("start_ns").forward_fill().over("symbol"))
        .drop_nulls("start_ns")
        .group_by("symbol", "start_ns", maintain_order=True)
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=pl.col("size").sum(),
        )
    )


def _hits(kept: pl.DataFrame, bits: int) -> bool:
    return bool(kept.select(((pl.col("bits") & bits) != 0).any()).item())


def _masked(kept: pl.DataFrame, vendor: pl.DataFrame, mask: int) -> Agreement:
    ours = polars_bars(kept.filter((pl.col("bits") & mask) == 0), NS)
    return Agreement(f"excluded_bits {mask:#x}", _shares(ours, vendor, PRICES), mask)


def _shares(ours: pl.DataFrame, vendor: pl.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    both = ours.join(vendor, on=["symbol", "start_ns"], how="full", suffix="_theirs", coalesce=True)
    same = [(pl.col(c) == pl.col(f"{c}_theirs")).fill_null(value=False) for c in columns]
    shares = both.group_by("symbol").agg(same=pl.all_horizontal(same).mean()).sort("symbol")
    return dict(shares.iter_rows())


def _lines(found: dict[str, Any]) -> list[str]:
    goal = "met" if found["goal_met"] else "MISSED"
    lines = [
        f"{found['ticks']:,} ticks",
        f"import   {found['import_s']:6.1f} s",
        f"replay   {found['replay_s']:6.1f} s   goal <= {REPLAY_GOAL_S:.0f} s: {goal}",
        f"bars     {found['bars']:,}, of which {found['bars_that_differ']} differ from polars",
    ]
    if found["cuts"]:
        verdict = "the same" if found["same_hashes"] else "DIFFERENT"
        lines.append(f"cuts     batches of 7 and 4096, 1 and 2 workers: {verdict} hashes")
    lines.append("seconds whose prices equal the vendor's, 7 to 9 October:")
    for each in found["agreement"]:
        shares = "  ".join(f"{symbol} {share:.2%}" for symbol, share in each.by_symbol.items())
        lines.append(f"  {each.rule:<27} {shares}")
    return lines
