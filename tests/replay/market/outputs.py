"""Made-up outputs of daily risk, in the form of the files that a replay writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from operators.market.backtest import Backtest
from state.outputs import to_json

S = 1_000_000_000
START_NS = int(datetime(2015, 1, 2, 21, tzinfo=UTC).timestamp()) * S
SCALES = {
    "historical": 2.6,
    "age-weighted": 2.5,
    "filtered-historical": 2.55,
    "ewma-normal": 2.33,
    "cornish-fisher": 2.9,
    "garch-normal": 2.4,
    "monte-carlo-normal": 2.34,
    "monte-carlo-t": 2.7,
}
"""By method, VaR at 99 % in standard deviations; a figure of the tests and of nothing else."""
WARM_UP = 10

Records = dict[str, list[dict[str, Any]]]


def closes(sessions: int) -> list[int]:
    """Return so many closes of Mondays to Fridays, ns since 1970."""
    days = (START_NS + day * 86_400 * S for day in range(2 * sessions))
    weekdays = [ns for ns in days if datetime.fromtimestamp(ns // S, UTC).weekday() < 5]
    return weekdays[:sessions]


def daily_outputs(
    sessions: int,
    symbols: int = 20,
    portfolios: Sequence[str] = ("equal",),
    confidences: Sequence[float] = (0.99,),
    horizons: Sequence[int] = (1,),
) -> Records:
    """Return risk, pnl, backtest and weights of portfolios over made-up returns."""
    records: Records = {"risk": [], "pnl": [], "backtest": [], "weights": []}
    times = closes(sessions)
    for number, name in enumerate(portfolios):
        rng = np.random.Generator(np.random.Philox(key=[number, 7]))
        calm = 0.006 * np.exp(np.convolve(rng.normal(0, 0.16, sessions + 60), _fading(), "valid"))
        market = calm[:sessions] * rng.standard_t(5, sessions)
        own = calm[:sessions, np.newaxis] * rng.normal(0, 0.8, (sessions, symbols))
        returns = market[:, np.newaxis] * rng.uniform(0.5, 1.5, symbols) + own
        book = _Book(f"portfolio:{name}", [f"S{i:02d}" for i in range(symbols)], records)
        book.run(times, returns, confidences, horizons)
    return records


def _fading() -> np.ndarray:
    return np.asarray(0.97 ** np.arange(61))


class _Book:
    def __init__(self, scope: str, symbols: list[str], records: Records) -> None:
        self.scope = scope
        self.symbols = symbols
        self.records = records
        self.weights = np.full(len(symbols), 1 / len(symbols))

    def run(
        self,
        times: list[int],
        returns: np.ndarray,
        confidences: Sequence[float],
        horizons: Sequence[int],
    ) -> None:
        tests = {(m, c): Backtest(c) for m in SCALES for c in confidences}
        covariance = np.cov(returns.T)
        forecast: dict[tuple[str, float], tuple[float, bool]] = {}
        value = 1.0
        for i, ts_ns in enumerate(times):
            ret = float(returns[i] @ self.weights)
            value *= 1 + ret
            hits = {}
            for (method, confidence), (var, valid) in forecast.items():
                if valid:
                    hits[f"{method}|{confidence!r}"] = -ret > var
                    test = tests[method, confidence]
                    test.update(ret, var, 1.15 * var)
                    self.records["backtest"].append(test.record(self.scope, method, ts_ns))
            pnl = {"id": f"{self.scope}|{ts_ns}", "ts_ns": ts_ns, "scope": self.scope}
            pnl |= {"return": ret, "pnl": ret * value, "value": value, "exceptions": hits}
            self.records["pnl"].append(pnl)
            covariance = 0.97 * covariance + 0.03 * np.outer(returns[i], returns[i])
            if i < WARM_UP:
                continue
            forecast = self._forecast(i, ts_ns, covariance, confidences, horizons)
            if i % 21 == 0:
                self._optimise(i, ts_ns, covariance)

    def _forecast(
        self,
        i: int,
        ts_ns: int,
        covariance: np.ndarray,
        confidences: Sequence[float],
        horizons: Sequence[int],
    ) -> dict[tuple[str, float], tuple[float, bool]]:
        marginal = covariance @ self.weights
        sigma = float(np.sqrt(self.weights @ marginal))
        made = {}
        for method, scale in SCALES.items():
            for confidence in confidences:
                var = scale * sigma * {0.99: 1.0, 0.95: 0.7}[confidence]
                valid = method != "cornish-fisher" or i % 400 > 60
                made[method, confidence] = (var, valid)
                shares = self.weights * marginal / sigma**2
                for horizon in horizons:
                    at = var * horizon**0.5
                    parts = dict(zip(self.symbols, (shares * at).tolist(), strict=True))
                    key = f"{self.scope}|{method}|session|{confidence!r}|{horizon}"
                    risk = {"id": f"{key}|{ts_ns}", "ts_ns": ts_ns, "scope": self.scope}
                    risk |= {"method": method, "interval": "session", "confidence": confidence}
                    risk |= {"horizon": horizon, "var": at, "es": 1.15 * at, "valid": valid}
                    risk["components"] = None if method == "garch-normal" else parts
                    self.records["risk"].append(risk)
        return made

    def _optimise(self, i: int, ts_ns: int, covariance: np.ndarray) -> None:
        inverse = 1 / np.diag(covariance) ** 2
        weights = inverse / inverse.sum()
        record = {"id": f"{self.scope}|{ts_ns}", "ts_ns": ts_ns, "scope": self.scope}
        record |= {"objective": "min-variance", "stale": i % 210 == 0, "solver": "clarabel"}
        record["reason"] = "infeasible under the constraints" if record["stale"] else ""
        record |= {"weights": dict(zip(self.symbols, weights.tolist(), strict=True))}
        record["model"] = f"weights|{self.scope}|{ts_ns - 1}"
        self.records["weights"].append(record)


def write(directory: Path, records: Records) -> Path:
    """Write each output to its file, by (event time, id) as a replay does."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, rows in records.items():
        ordered = sorted(rows, key=lambda row: (row["ts_ns"], row["id"]))
        lines = (to_json(row) + b"\n" for row in ordered)
        (directory / f"{name}.jsonl").write_bytes(b"".join(lines))
    return directory
