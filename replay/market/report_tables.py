"""The tables of a report: the latest figures, and the latest backtests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from replay.market.page import Cell, table
from replay.market.report_data import SESSION, in_order
from state.clock import NS

REJECTED = 0.05
"""p-values below this are shown in bold."""
_NONE = Cell("–", "faint")


def title(scope: str) -> str:
    """Return a portfolio's name."""
    return scope.removeprefix("portfolio:")


def percent(confidence: float) -> str:
    """Return a confidence as readers write it.

    >>> percent(0.975)
    '97.5 %'
    """
    return f"{100 * confidence:.12g} %"


def day(ts_ns: int) -> str:
    """Return the UTC date of an event time.

    >>> day(86_400_000_000_000)
    '1970-01-02'
    """
    return datetime.fromtimestamp(ts_ns // NS, UTC).date().isoformat()


def minute(ts_ns: int) -> str:
    """Return the UTC time of an event to the minute."""
    return datetime.fromtimestamp(ts_ns // NS, UTC).strftime("%Y-%m-%d %H:%M")


def steps(horizon: int, interval: str) -> str:
    """Return a horizon as readers write it.

    >>> steps(1, "session"), steps(10, "session"), steps(10, "1m")
    ('1 session', '10 sessions', '10 × 1m')
    """
    if interval != SESSION:
        return f"{horizon} × {interval}"
    return f"{horizon} session{'' if horizon == 1 else 's'}"


def figures_table(risk: pl.DataFrame, interval: str) -> str:
    """Return the last figures of each portfolio and method of one interval."""
    risk = risk.filter(interval=interval)
    at = sorted(set(risk.select("confidence", "horizon").iter_rows()), key=lambda c: (-c[0], c[1]))
    heads = [f"{percent(confidence)}, {steps(horizon, interval)}" for confidence, horizon in at]
    top = [Cell("", span=3), *(Cell(head, "group", span=2) for head in heads)]
    names = [Cell("Portfolio", "text"), Cell("Method", "text"), Cell("As of (UTC)", "text")]
    for _ in at:
        names += [Cell("VaR", "group"), Cell("ES")]
    rows = []
    for scope in sorted(risk["scope"].unique()):
        mine = risk.filter(scope=scope)
        for method in in_order(mine["method"].unique()):
            made = mine.filter(method=method)
            last = made.filter(pl.col("ts_ns") == pl.col("ts_ns").max())
            by_level = {(f["confidence"], f["horizon"]): f for f in last.iter_rows(named=True)}
            row = [Cell(title(scope), "text"), Cell(method, "text")]
            row.append(Cell(minute(last["ts_ns"][0]), "text"))
            for level in at:
                row += _figure(by_level.get(level))
            rows.append(row)
    return table([top, names], rows)


def _figure(record: dict[str, Any] | None) -> list[Cell]:
    if record is None:
        return [Cell("–", "group faint"), _NONE]
    if not record["valid"]:
        # A figure that its own method does not vouch for is not one to be read off a page.
        return [Cell("not valid", "group faint"), _NONE]
    return [Cell(f"{record['var']:.3%}", "group"), Cell(f"{record['es']:.3%}")]


def not_valid(backtest: pl.DataFrame, risk: pl.DataFrame) -> pl.DataFrame:
    """Return how many sessions of each backtest had a figure that its method did not vouch for.

    One row a ``scope``, ``method`` and ``confidence``. A backtest counts such figures too.
    """
    by = ["scope", "method", "confidence"]
    shortest = pl.col("horizon") == pl.col("horizon").min().over("scope")
    figures = risk.filter(interval=SESSION).filter(shortest).select(*by, "ts_ns", "valid")
    judged = backtest.select(*by, "ts_ns").sort("ts_ns").join_asof(
        figures.sort("ts_ns"), on="ts_ns", by=by, allow_exact_matches=False, check_sortedness=False
    )  # fmt: skip
    return judged.group_by(by).agg(not_valid=(~pl.col("valid")).sum())


def backtest_table(backtest: pl.DataFrame, risk: pl.DataFrame) -> str:
    """Return the last backtest of each portfolio, method and confidence."""
    top = [Cell("", span=3), Cell("Exceptions", "group", span=4), Cell("p-value", "group", span=3)]
    top.append(Cell("", "group", span=3))
    names = [Cell("Portfolio", "text"), Cell("Method", "text"), Cell("Confidence")]
    names += [Cell("in sessions", "group"), Cell("not valid"), Cell("found"), Cell("expected")]
    names += [Cell("Kupiec", "group"), Cell("Christoffersen"), Cell("conditional")]
    names += [Cell("Z₂", "group"), Cell("Zone"), Cell("As of")]
    by = ["scope", "method", "confidence"]
    last = backtest.group_by(by).last().join(not_valid(backtest, risk), on=by)
    order = {method: place for place, method in enumerate(in_order(last["method"].unique()))}
    records = sorted(
        last.iter_rows(named=True),
        key=lambda r: (r["scope"], -r["confidence"], order[r["method"]]),
    )
    return table([top, names], [_backtest(record) for record in records])


def _backtest(record: dict[str, Any]) -> list[Cell]:
    expected = record["observations"] * (1.0 - record["confidence"])
    return [
        Cell(title(record["scope"]), "text"),
        Cell(record["method"], "text"),
        Cell(percent(record["confidence"])),
        Cell(f"{record['observations']:,}", "group"),
        Cell(f"{record['not_valid']:,}"),
        Cell(f"{record['exceptions']:,}"),
        Cell(f"{expected:,.1f}"),
        _p_value(record["kupiec_p"], "group"),
        _p_value(record["christoffersen_p"]),
        _p_value(record["conditional_p"]),
        Cell(f"{record['acerbi_szekely']:.3f}".replace("-", "−"), "group"),
        Cell(record["zone"], chip=record["zone"]),
        Cell(day(record["ts_ns"])),
    ]


def _p_value(p: float, style: str = "") -> Cell:
    return Cell("< 0.0001" if p < 1e-4 else f"{p:.4f}", style, strong=p < REJECTED)
