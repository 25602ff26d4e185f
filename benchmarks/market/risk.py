"""What an update of each risk figure costs, as a ratio to numpy making it from scratch."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.child import Child
from benchmarks.machine import Cores, facts
from benchmarks.market import risk_monte_carlo, risk_signals
from benchmarks.market.risk_child import ONE_THREAD
from benchmarks.report import Goal, Report, number
from replay import arguments
from state.errors import Misuse

PARTS = "abcde"
ASSETS = WINDOW = 500
MEAN, LEAST, MONTE_CARLO = Goal(20.0), Goal(3.0), Goal(0.8)


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how much."""

    parts: str = PARTS
    rounds: int = 15
    assets: int = ASSETS
    window: int = WINDOW


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --only, --rounds and --json."""
    parser.add_argument(
        "--only",
        default=PARTS,
        metavar="PARTS",
        help="a update of VaR methods, b revaluation, c signals per tick, d signals per block, "
        "e Monte Carlo; such as ac (all)",
    )
    parser.add_argument("--rounds", type=arguments.positive, default=15, metavar="N", help="(15)")
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; a goal that is missed is printed as missed, and is no failure."""
    if not args.only or set(args.only) - set(PARTS):
        raise Misuse(f"--only {args.only}: some of {PARTS}")
    measure(Options(args.only, args.rounds), Report(args.json, facts()))
    return 0


def measure(options: Options, report: Report) -> None:
    """Run the chosen parts in a process of one thread and one core, and report."""
    core = Cores.here().engine
    report.facts["pinned"] = f"both sides in one process on core {core}, one thread each"
    report.begin()
    parts = [part for part in PARTS if part in options.parts]
    job = {
        "core": core, "parts": parts, "rounds": options.rounds, "assets": options.assets,
        "window": options.window,
    }  # fmt: skip
    ratios: dict[str, list[list[float]]] = {}
    with Child("benchmarks.market.risk_child", job, ONE_THREAD) as process:
        for part in parts:
            report.part(part, *_titles(options)[part])
            ratios[part] = _figures(report, part, process.heard()["contests"])
    if "a" in ratios and "c" in ratios:  # the goal is about both
        _totals(report, ratios["a"] + ratios["c"])
    report.end()


def _figures(report: Report, part: str, contests: list[dict[str, Any]]) -> list[list[float]]:
    """Report each contest of a part; return the ratios of each by round."""
    found: list[list[float]] = []
    per = risk_signals.BLOCK if part == "d" else 1
    for contest in contests:
        ours, theirs = contest["ours"], contest["theirs"]
        ratios = [slow / fast for fast, slow in zip(ours, theirs, strict=True)]
        goal = MONTE_CARLO if part == "e" and not found else None
        report.figure(part, contest["name"], "x", ratios, goal)
        sides = [number(1e6 * statistics.median(side) / per) for side in (ours, theirs)]
        report.note(part, f"    {sides[0]} µs against {sides[1]} µs of numpy")
        found.append(ratios)
    if part != "e":
        report.figure(part, "geometric mean of the above", "x", _means(found))
    return found


def _totals(report: Report, found: list[list[float]]) -> None:
    report.part("goals", "the updates of (a) and (c) together")
    report.figure("goals", "geometric mean", "x", _means(found), MEAN)
    worst = min(found, key=statistics.median)
    report.figure("goals", "the least of them", "x", worst, LEAST)


def _means(found: list[list[float]]) -> list[float]:
    """Return the geometric mean of each round."""
    return [statistics.geometric_mean(ratios) for ratios in zip(*found, strict=True)]


def _titles(options: Options) -> dict[str, tuple[str, ...]]:
    """Return the title of each part, and the conditions of its figures."""
    assets, window = options.assets, options.window
    return {
        "a": (
            f"VaR methods: one more session of {assets} assets, window {window}",
            "ours: row of asset returns, portfolio return, update, VaR and ES at 99 %",
            f"numpy: the same from all {window} x {assets} returns: one matrix product, then",
            "partition, sort or linear filter (scipy's); constants are made beforehand",
            "methods and component kernels alone, without the engine's bookkeeping around them",
            "CPU time of one thread; a ratio is numpy's time by ours within a round",
        ),
        "b": (
            f"revaluation after a changed position: {assets} assets, window {window}",
            "both sides work all of it out again: no goal, as nothing of it is incremental; ours",
            "sums in the order of the assets, so that the bits depend on no library, numpy by BLAS",
        ),
        "c": (
            "signals: one more tick",
            "ours: one call of the kernel for one tick, state from the ticks before",
            f"numpy: the same from the last {risk_signals.WINDOW} ticks (kyle-lambda:",
            f"{risk_signals.KYLE_TRADES + 1}; micro-price: the last quote, all that it needs)",
            "cusum: one pass of numpy for each event in the window; pairs: a banded system",
        ),
        "d": (
            f"signals: the same {risk_signals.BLOCK:,} ticks in one block, times per tick",
            "the strictest comparison: numpy works out all ticks at once, and nothing again;",
            "no goal: realised-variance (per window) and pairs (per bar) have no such form",
        ),
        "e": (
            f"Monte Carlo: {risk_monte_carlo.PATHS:,} paths of {risk_monte_carlo.ASSETS} assets",
            "ours: Philox-4x32-10 and Box-Muller; numpy: Generator.standard_normal and one matrix",
            "product, into arrays that exist; PCG64 where nothing is said",
        ),
    }  # fmt: skip
