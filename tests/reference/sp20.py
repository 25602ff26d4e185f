"""The S&P-20 series: an equal-weighted portfolio, each method's forecasts of every day.

The formulas are those of ``risk.py``, written over all days at once; ``test_risk.py`` holds
both against each other. The data stay where they are shared.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from tests.reference.risk import (
    GarchParameters,
    Series,
    age_weights,
    ewma_variances,
    garch_variances,
    standardised,
    tail_index,
)

DAILY = Path(__file__).parents[2].parent / "shared" / "data" / "market" / "daily"
SP500 = DAILY / "sp500_dataset.csv.gz"
WINDOW = 500


class Forecasts(NamedTuple):
    """One figure a day for each return from the 501st on; the last returns' forecast is left out.

    ``valid`` tells where the method itself vouches for the figure; only Cornish-Fisher may not.
    """

    var: Series
    es: Series
    valid: NDArray[np.bool_]


class GarchFit(NamedTuple):
    """Parameters that count once ``known`` returns are known, from a history that began earlier."""

    known: int
    parameters: GarchParameters
    start: int = 0


def prices() -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return (dates, symbols, closes by day and symbol)."""
    with gzip.open(SP500, "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split(",") for line in lines]
    closes = np.array([[float(price) for price in row[1:]] for row in rows[1:]])
    return [row[0] for row in rows[1:]], rows[0][1:], closes


def portfolio_returns() -> Series:
    """Return the simple returns of equal weights, rebalanced every day."""
    _, _, closes = prices()
    return np.asarray(np.mean(closes[1:] / closes[:-1] - 1, axis=1), dtype=np.float64)


def windows(values: Series, count: int) -> NDArray[np.float64]:
    """Return the last ``WINDOW`` values before each of the last ``count`` days, a row a day."""
    return sliding_window_view(values[:-1], WINDOW)[-count:]


def tails(rows: NDArray[np.float64], confidence: float) -> tuple[Series, Series]:
    """Return VaR and ES of each row of a window."""
    k = tail_index(rows.shape[1], confidence)
    worst = np.sort(rows, axis=1)[:, : k + 1]
    return -worst[:, k], -np.mean(worst, axis=1)


def _always(var: Series, es: Series) -> Forecasts:
    return Forecasts(var, es, np.ones(len(var), dtype=np.bool_))


def historical(returns: Series, confidence: float) -> Forecasts:
    return _always(*tails(windows(returns, len(returns) - WINDOW), confidence))


def age_weighted(returns: Series, confidence: float, decay: float = 0.99) -> Forecasts:
    rows = windows(returns, len(returns) - WINDOW)
    order = np.argsort(rows, axis=1, kind="stable")
    ascending = np.take_along_axis(rows, order, axis=1)
    weights = age_weights(WINDOW, decay)[order]
    reached = np.argmax(np.cumsum(weights, axis=1) > 1 - confidence, axis=1)
    weights[np.arange(WINDOW) > reached[:, None]] = 0.0
    var = -ascending[np.arange(len(rows)), reached]
    return _always(var, -np.sum(weights * ascending, axis=1) / np.sum(weights, axis=1))


def filtered_historical(returns: Series, confidence: float) -> Forecasts:
    """Return the forecasts; the first day has only 499 z's, as its first return has none."""
    count = len(returns) - WINDOW
    z = standardised(returns)
    first = tails(z[None, : WINDOW - 1], confidence)
    rest = tails(windows(z, count - 1), confidence)
    sigmas = np.sqrt(ewma_variances(returns))[WINDOW - 1 : -1]
    var, es = (sigmas * np.concatenate(pair) for pair in zip(first, rest, strict=True))
    return _always(var, es)


def ewma_normal(returns: Series, confidence: float) -> Forecasts:
    sigmas = np.sqrt(ewma_variances(returns))[WINDOW - 1 : -1]
    z = norm.ppf(1 - confidence)
    return _always(-z * sigmas, norm.pdf(z) / (1 - confidence) * sigmas)


def cornish_fisher(returns: Series, confidence: float) -> Forecasts:
    """Return the forecasts; ES by the tail's integrals of z, z^2 and z^3, which all days share."""
    rows = windows(returns, len(returns) - WINDOW)
    mean = np.mean(rows, axis=1)
    centred = rows - mean[:, None]
    sigma = np.sqrt(np.mean(centred**2, axis=1))
    s = np.mean(centred**3, axis=1) / sigma**3
    k = np.mean(centred**4, axis=1) / sigma**4 - 3
    a, b, c = k / 8 - s**2 / 6, s / 3, 1 - k / 8 + 5 * s**2 / 36
    z = float(norm.ppf(1 - confidence))

    def quantile(z1: float, z2: float, z3: float) -> Series:
        value = z1 + (z2 - 1) * s / 6 + (z3 - 3 * z1) * k / 24 - (2 * z3 - 5 * z1) * s**2 / 36
        return np.asarray(value, dtype=np.float64)

    z1, z2, z3 = (
        quad(lambda x, p=p: x**p * norm.pdf(x), -np.inf, z, epsabs=0, epsrel=1e-12)[0]
        / (1 - confidence)
        for p in (1, 2, 3)
    )
    return Forecasts(
        -(mean + sigma * quantile(z, z**2, z**3)),
        -(mean + sigma * quantile(z1, z2, z3)),
        (a > 0) & (b**2 <= 4 * a * c),
    )


def garch_normal(returns: Series, confidence: float, fits: Sequence[GarchFit]) -> Forecasts:
    """Return the forecasts under fits of which the first is known before the first forecast.

    Once ``known`` returns are known the filter starts anew on ``returns[start:known]`` and runs
    on until the next fit.
    """
    z = norm.ppf(1 - confidence)
    var, es = np.full(len(returns), np.nan), np.full(len(returns), np.nan)
    ends = [fit.known for fit in fits[1:]] + [len(returns)]
    for fit, end in zip(fits, ends, strict=True):
        residuals = returns[fit.start : end] - fit.parameters.mu
        before = float(np.mean(residuals[: fit.known - fit.start] ** 2))
        variances = garch_variances(residuals, fit.parameters, before)
        days = np.arange(fit.known, end)
        sigmas = np.sqrt(variances[days - fit.start])
        var[days] = -fit.parameters.mu - sigmas * z
        es[days] = -fit.parameters.mu + sigmas * norm.pdf(z) / (1 - confidence)
    return _always(var[WINDOW:], es[WINDOW:])


METHODS: dict[str, Callable[[Series, float], Forecasts]] = {
    "historical": historical,
    "age-weighted": age_weighted,
    "filtered-historical": filtered_historical,
    "ewma-normal": ewma_normal,
    "cornish-fisher": cornish_fisher,
}


def exceptions(returns: Series, forecasts: Forecasts) -> NDArray[np.bool_]:
    """Return for each forecast whether the return of its day fell below -VaR."""
    return np.asarray(returns[WINDOW:] < -forecasts.var, dtype=np.bool_)
