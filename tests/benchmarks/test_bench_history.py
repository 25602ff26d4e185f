"""The benchmark of pages of history, over a real PostgreSQL, with little to read."""

from __future__ import annotations

from benchmarks.history import Options, measure
from benchmarks.machine import facts
from benchmarks.report import Report


def test_pages_are_measured_and_read_by_indexes() -> None:
    report = Report(json=True, facts=facts())
    measure(Options(symbols=20, seconds=1200, runs=5), report)
    names = [figure.name for figure in report.figures]
    assert names == [
        f"{what}: p99"
        for what in (
            "a symbol, 1s",
            "a symbol, 1m",
            "a symbol, all intervals",
            "all symbols",
            "hours of a symbol",
        )
    ]
    assert all(figure.value > 0 for figure in report.figures)
    notes = report.notes["a"]
    assert "24,400 bars" in notes[0]
    assert [note.strip() for note in notes if note.startswith("  by ")] == [
        "by market_bars_p20131007_generation_symbol_time_interval_idx",
        "by market_bars_p20131007_generation_symbol_time_interval_idx",
        "by market_bars_p20131007_generation_symbol_time_interval_idx",
        "by market_bars_p20131007_generation_time_id_idx",
    ]
