"""What a report shows, read from the files that replay and export write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray
from polars.datatypes import DataTypeClass

from flows.market.settings import Method
from state.errors import Misuse

SESSION = "session"
"""The ``interval`` of daily figures."""
ALLOCATED = ("ewma-normal", "historical")
"""The methods whose components are shown."""
_PORTFOLIO = "portfolio:"
_ORDER = {method: place for place, method in enumerate(get_args(Method))}
_TEXT, _WHOLE, _REAL, _FLAG = pl.String, pl.Int64, pl.Float64, pl.Boolean
# Tables by symbol or method come as their JSON: their fields differ from line to line.
_SCHEMAS: dict[str, dict[str, DataTypeClass]] = {
    "risk": {
        "ts_ns": _WHOLE,
        "scope": _TEXT,
        "interval": _TEXT,
        "method": _TEXT,
        "confidence": _REAL,
        "horizon": _WHOLE,
        "var": _REAL,
        "es": _REAL,
        "components": _TEXT,
        "valid": _FLAG,
    },
    "pnl": {"ts_ns": _WHOLE, "scope": _TEXT, "return": _REAL, "exceptions": _TEXT},
    "backtest": {
        "ts_ns": _WHOLE,
        "scope": _TEXT,
        "method": _TEXT,
        "confidence": _REAL,
        "observations": _WHOLE,
        "exceptions": _WHOLE,
        "kupiec_p": _REAL,
        "christoffersen_p": _REAL,
        "conditional_p": _REAL,
        "zone": _TEXT,
        "acerbi_szekely": _REAL,
    },
    "weights": {
        "ts_ns": _WHOLE,
        "scope": _TEXT,
        "objective": _TEXT,
        "weights": _TEXT,
        "stale": _FLAG,
        "reason": _TEXT,
    },
}

Times = NDArray[np.datetime64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sessions:
    """A portfolio's sessions, and what each method had forecast for them at one confidence.

    ``times`` datetime64[ns], the closes; ``returns`` float64, simple. By method ``var`` float64
    (positive for a loss; NaN where no valid forecast was made) and ``exceptions`` bool.
    """

    scope: str
    confidence: float
    times: Times
    returns: Floats
    var: dict[str, Floats]
    exceptions: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Shares:
    """What the symbols have of a whole over time: ``values`` float64[times, names]."""

    times: Times
    names: list[str]
    values: Floats


@dataclass(frozen=True, slots=True)
class Outputs:
    """The records of portfolios: one row each, by time; and what else there is to tell."""

    risk: pl.DataFrame
    pnl: pl.DataFrame
    backtest: pl.DataFrame
    weights: pl.DataFrame
    notes: list[str]

    @property
    def scopes(self) -> list[str]:
        """Return the portfolios that any record is of."""
        frames = (self.risk, self.pnl, self.backtest, self.weights)
        return sorted(set().union(*(frame["scope"].unique().to_list() for frame in frames)))

    def daily(self, scope: str) -> pl.DataFrame:
        """Return a portfolio's figures for one session ahead.

        Where none has the horizon 1, those of the shortest are divided by its square root.
        """
        chosen = self.risk.filter(scope=scope, interval=SESSION)
        root = pl.col("horizon").sqrt()
        return chosen.filter(pl.col("horizon") == pl.col("horizon").min()).with_columns(
            pl.col("var") / root, scale=1.0 / root
        )

    def sessions(self, scope: str, confidence: float) -> Sessions:
        """Return the sessions of a portfolio beside the forecasts that were judged by them."""
        pnl = self.pnl.filter(scope=scope)
        judged = [orjson.loads(text) for text in pnl["exceptions"]]
        figures = self.daily(scope).filter(confidence=confidence)
        var, exceptions = {}, {}
        for method in in_order(figures["method"].unique()):
            key = f"{method}|{confidence!r}"
            made = figures.filter(method=method).select("ts_ns", "var")
            # A forecast made at a close is of the next session, never of the one that has ended.
            before = pnl.join_asof(made, on="ts_ns", allow_exact_matches=False)["var"]
            known = np.array([key in row for row in judged], np.bool_)
            var[method] = np.where(known, before.to_numpy(), np.nan)
            exceptions[method] = np.array([row.get(key, False) for row in judged], np.bool_)
        returns = pnl["return"].to_numpy()
        return Sessions(scope, confidence, times_of(pnl), returns, var, exceptions)

    def components(self, scope: str, confidence: float) -> dict[str, Shares]:
        """Return the component VaR of each symbol for one session ahead, by method.

        As everywhere in a report, figures that their method does not vouch for are left out.
        """
        figures = self.daily(scope).filter(pl.col("components").is_not_null(), pl.col("valid"))
        shares = {}
        for method in ALLOCATED:
            chosen = figures.filter(method=method, confidence=confidence)
            if len(chosen):
                found = shares_of(times_of(chosen), chosen["components"])
                scale = chosen["scale"].to_numpy()[:, np.newaxis]
                shares[method] = Shares(found.times, found.names, found.values * scale)
        return shares


def read_outputs(directory: Path) -> Outputs:
    """Return what ``directory`` holds of portfolios; raises Misuse where it holds no such file."""
    present = [name for name in _SCHEMAS if (directory / f"{name}.jsonl").is_file()]
    if not present:
        files = ", ".join(f"{name}.jsonl" for name in _SCHEMAS)
        raise Misuse(f"{directory} holds none of {files}: give what replay or export wrote")
    notes: list[str] = []
    frames = {name: _read(directory / f"{name}.jsonl", notes) for name in _SCHEMAS}
    return Outputs(**frames, notes=notes)


def _read(path: Path, notes: list[str]) -> pl.DataFrame:
    schema = _SCHEMAS[path.stem]
    if not path.is_file():
        notes.append(f"{path.name} is absent.")
        return pl.DataFrame(schema=schema)
    lines = pl.scan_ndjson(path, schema=schema)
    mine = lines.filter(pl.col("scope").str.starts_with(_PORTFOLIO)).sort("ts_ns")
    try:
        found, counted = pl.collect_all([mine, lines.select(pl.len())])
    except pl.exceptions.PolarsError as error:
        raise Misuse(f"{path} holds no {path.stem} records: {error}") from error
    if not counted.item():
        notes.append(f"{path.name} is empty.")
    elif others := counted.item() - len(found):
        notes.append(f"{path.name} has {others:,} records of single symbols, which are not shown.")
    return found


def in_order(methods: Iterable[str]) -> list[str]:
    """Return methods in the order in which they are always shown."""
    return sorted(methods, key=lambda method: (_ORDER.get(method, len(_ORDER)), method))


def times_of(frame: pl.DataFrame) -> Times:
    """Return the event times as datetime64[ns]."""
    return frame["ts_ns"].to_numpy().astype("datetime64[ns]")


def shares_of(times: Times, tables: Iterable[str]) -> Shares:
    """Return tables by symbol, as JSON, by column; a symbol that one does not name has 0."""
    rows = [orjson.loads(table) for table in tables]
    names = sorted(set().union(*rows))
    values = [[row.get(name, 0.0) for name in names] for row in rows]
    return Shares(times, names, np.array(values, np.float64).reshape(len(rows), len(names)))


def averaged(shares: Shares, many: int) -> Shares:
    """Return the means of ``many`` neighbouring times each, the last one of what remains.

    A mean stands at the first of its times.
    """
    starts = np.arange(0, len(shares.times), many)
    counts = np.diff(np.append(starts, len(shares.times)))
    means = np.add.reduceat(shares.values, starts, axis=0) / counts[:, np.newaxis]
    return Shares(shares.times[starts], shares.names, means)


def largest(shares: Sequence[Shares], count: int) -> list[str]:
    """Return the names with the largest mean absolute values, largest first."""
    sizes: dict[str, float] = {}
    for part in shares:
        means = np.abs(part.values).mean(axis=0).tolist()
        for name, mean in zip(part.names, means, strict=True):
            sizes[name] = sizes.get(name, 0.0) + mean
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:count]


def gathered(shares: Shares, names: Sequence[str], others: str) -> Shares:
    """Return the shares of ``names``, and under the name ``others`` the sum of all the rest."""
    columns = {name: shares.values[:, place] for place, name in enumerate(shares.names)}
    nothing = np.zeros(len(shares.times))
    chosen = [columns.pop(name, nothing) for name in names]
    if not columns:
        return Shares(shares.times, list(names), np.column_stack(chosen))
    rest = np.sum(list(columns.values()), axis=0)
    return Shares(shares.times, [*names, others], np.column_stack([*chosen, rest]))
