"""The portfolio merge: EWMA covariance, VaR, ES and breaches, by definition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tests.reference.symbols import METHOD, NORMAL, ClosedRiskBar, normal_var_es
from tests.reference.vocabulary import Record, ReferenceSettings, interval_name

Covariance = dict[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class PortfolioForecast:
    """The last forecast of one portfolio: its volatility a bar, and whether it counts."""

    sigma: float
    valid: bool


def updated(old: Covariance | None, returns: Mapping[str, float], decay: float) -> Covariance:
    """Return the covariance after one more vector of returns; None is before the first."""
    new: Covariance = {}
    for a, return_a in returns.items():
        for b, return_b in returns.items():
            product = return_a * return_b
            new[a, b] = product if old is None else decay * old[a, b] + (1 - decay) * product
    return new


def sigma_and_loads(
    weights: Mapping[str, float], covariance: Covariance
) -> tuple[float, dict[str, float]]:
    """Return sqrt(w'Sw) and the vector Sw of a portfolio."""
    loads: dict[str, float] = {}
    variance = 0.0
    for a in sorted(weights):
        loads[a] = 0.0
        for b in sorted(weights):
            loads[a] += covariance[a, b] * weights[b]
        variance += weights[a] * loads[a]
    return math.sqrt(max(variance, 0.0)), loads


def breach_of(
    name: str, ts_ns: int, pnl: float, forecast: PortfolioForecast, confidence: float
) -> Record | None:
    """Return the breach that a portfolio's return makes of its last forecast."""
    bound = NORMAL.inv_cdf(confidence) * forecast.sigma
    if not forecast.valid or -bound <= pnl <= bound:
        return None
    down = pnl < -bound
    return {
        "id": f"portfolio:{name}|{ts_ns}",
        "ts_ns": ts_ns,
        "scope": f"portfolio:{name}",
        "kind": "breach_down" if down else "breach_up",
        "method": METHOD,
        "value": pnl,
        "threshold": -bound if down else bound,
    }


def breaches_of(
    ts_ns: int,
    returns: Mapping[str, float],
    forecasts: Mapping[str, PortfolioForecast],
    settings: ReferenceSettings,
) -> list[Record]:
    """Return the breaches that one vector of returns makes of the forecasts before it."""
    signals = []
    for name, forecast in sorted(forecasts.items()):
        pnl = 0.0
        for symbol, weight in sorted(settings.portfolios[name].items()):
            pnl += weight * returns[symbol]
        signal = breach_of(name, ts_ns, pnl, forecast, settings.breach_confidence)
        if signal is not None:
            signals.append(signal)
    return signals


def risk_of(
    name: str,
    ts_ns: int,
    weights: Mapping[str, float],
    covariance: Covariance,
    valid: bool,
    settings: ReferenceSettings,
) -> list[Record]:
    """Return the risk records of one portfolio's forecast."""
    scope = f"portfolio:{name}"
    sigma, loads = sigma_and_loads(weights, covariance)
    records = []
    interval = interval_name(settings.risk_interval_ns)
    for confidence in settings.confidences:
        z = NORMAL.inv_cdf(confidence)
        for horizon in settings.horizons:
            var, shortfall = normal_var_es(sigma * math.sqrt(horizon), confidence)
            marginal = {
                symbol: 0.0 if sigma == 0 else loads[symbol] / sigma * z * math.sqrt(horizon)
                for symbol in sorted(weights)
            }
            records.append(
                {
                    "id": f"{scope}|{METHOD}|{interval}|{confidence!r}|{horizon}|{ts_ns}",
                    "ts_ns": ts_ns,
                    "scope": scope,
                    "method": METHOD,
                    "interval": interval,
                    "confidence": confidence,
                    "horizon": horizon,
                    "var": var,
                    "es": shortfall,
                    "components": {s: weights[s] * slope for s, slope in marginal.items()},
                    "marginal": marginal,
                    "incremental": None,
                    "valid": valid,
                }
            )
    return records


def merge(
    bars: list[ClosedRiskBar], min_watermark_ns: float, settings: ReferenceSettings
) -> tuple[list[Record], list[Record]]:
    """Return (risk, signals) of all portfolios, up to the minimum watermark."""
    universe = sorted({symbol for weights in settings.portfolios.values() for symbol in weights})
    observations = dict.fromkeys(universe, 0)
    covariance: Covariance | None = None
    forecasts: dict[str, PortfolioForecast] = {}
    risk: list[Record] = []
    signals: list[Record] = []
    usable = [bar for bar in bars if bar.symbol in observations and bar.end_ns <= min_watermark_ns]
    for ts_ns in sorted({bar.end_ns for bar in usable}):
        current = {bar.symbol: bar.simple_return for bar in usable if bar.end_ns == ts_ns}
        if all(simple_return is None for simple_return in current.values()):
            continue
        returns = {symbol: current.get(symbol) or 0.0 for symbol in universe}
        signals.extend(breaches_of(ts_ns, returns, forecasts, settings))
        covariance = updated(covariance, returns, settings.ewma_lambda)
        for symbol, simple_return in current.items():
            if simple_return is not None:
                observations[symbol] += 1
        for name, weights in sorted(settings.portfolios.items()):
            if not any(symbol in current for symbol in weights):
                continue
            valid = all(observations[symbol] >= settings.min_observations for symbol in weights)
            risk.extend(risk_of(name, ts_ns, weights, covariance, valid, settings))
            forecasts[name] = PortfolioForecast(sigma_and_loads(weights, covariance)[0], valid)
    return risk, signals
