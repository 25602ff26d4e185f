"""Parametric (EWMA-normal) value at risk and expected shortfall.

VaR = z sigma sqrt(h) and ES = sigma sqrt(h) phi(z) / (1 - c), with z the standard normal
quantile at confidence c and h the horizon in bars; losses are positive, the mean is taken
as zero (RiskMetrics 1996, chapter 5; McNeil, Frey, Embrechts 2015, section 2.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from operators.market.operator import Stateless
from operators.market.records import METHOD, interval_name
from operators.market.work import Work
from operators.outputs import Outbox


@dataclass(frozen=True, slots=True)
class Level:
    """One confidence and horizon, with what a standard deviation is multiplied by."""

    confidence: float
    horizon: int

    @property
    def var_factor(self) -> float:
        """Return VaR per unit of sigma: z sqrt(h)."""
        return NormalDist().inv_cdf(self.confidence) * math.sqrt(self.horizon)

    @property
    def es_factor(self) -> float:
        """Return ES per unit of sigma: phi(z) sqrt(h) / (1 - c)."""
        z = NormalDist().inv_cdf(self.confidence)
        return NormalDist().pdf(z) * math.sqrt(self.horizon) / (1.0 - self.confidence)

    def key(self, scope: str, method: str, interval: str) -> str:
        """Return the table key of a figure at this level."""
        return f"{scope}|{method}|{interval}|{self.confidence!r}|{self.horizon}"


def levels(confidences: tuple[float, ...], horizons: tuple[int, ...]) -> list[Level]:
    """Return every combination, confidences outermost."""
    return [Level(c, h) for c in confidences for h in horizons]


def normal_risk_record(
    level: Level,
    scope: str,
    interval: str,
    ts_ns: int,
    sigma: float,
    components: dict[str, float] | None,
    marginal: dict[str, float] | None,
    valid: bool,
) -> dict[str, Any]:
    """Return one ``risk`` record of a normal distribution with standard deviation ``sigma``."""
    return {
        "id": f"{level.key(scope, METHOD, interval)}|{ts_ns}",
        "ts_ns": ts_ns,
        "scope": scope,
        "method": METHOD,
        "interval": interval,
        "confidence": level.confidence,
        "horizon": level.horizon,
        "var": level.var_factor * sigma,
        "es": level.es_factor * sigma,
        "components": components,
        "marginal": marginal,
        "incremental": None,
        "valid": valid,
    }


class SymbolRisk(Stateless):
    """Emits ``risk`` for each symbol whenever its volatility forecast is renewed."""

    name = "var"

    def __init__(self, at: list[Level], interval_ns: int, min_observations: int) -> None:
        self._levels = at
        self._interval = interval_name(interval_ns)
        self._min_observations = min_observations

    def process(self, work: Work, outbox: Outbox) -> None:
        """Emit the figures of the block's new forecasts."""
        forecasts = work.forecasts
        if forecasts is None:
            return
        for i in np.flatnonzero(forecasts.observations > 0).tolist():
            scope = f"symbol:{work.names[forecasts.slot[i]]}"
            end_ns, sigma = int(forecasts.end_ns[i]), float(forecasts.sigma[i])
            valid = bool(forecasts.observations[i] >= self._min_observations)
            partition = int(forecasts.partition[i])
            for level in self._levels:
                record = normal_risk_record(
                    level, scope, self._interval, end_ns, sigma, None, None, valid
                )
                key = level.key(scope, METHOD, self._interval)
                outbox.emit("risk", partition, end_ns, record["id"], key, record)
