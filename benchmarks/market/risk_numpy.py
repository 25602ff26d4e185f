"""VaR from scratch in whole-array numpy: what an update of each method is measured against.

Every function takes the returns of all assets in the window, float64[window, assets], oldest first,
and the weights; it returns (VaR, ES), or the components. Each does what is least: no covariance
matrix where the portfolio's own returns suffice, no sort where a partition does, and constants that
do not depend on the returns are handed in.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]
Pair = tuple[float, float]


def _tail(returns: Array, last: int) -> Pair:
    """Return VaR and ES by order statistics."""
    tail = np.partition(returns, last)[: last + 1]
    return -float(tail[last]), -float(tail.mean())


def ewma_weights(window: int, decay: float) -> Array:
    """Return what each return weighs in a variance whose first value is the first return's square.

    It is the recursion v = decay v + (1 - decay) r² written out.
    """
    weights = (1.0 - decay) * decay ** np.arange(window - 1.0, -1.0, -1.0)
    weights[0] = decay ** (window - 1.0)
    return weights


def historical(returns: Array, weights: Array, last: int) -> Pair:
    """Historical simulation."""
    return _tail(returns @ weights, last)


def age_weighted(returns: Array, weights: Array, ages: Array, probability: float) -> Pair:
    """Weights ``ages`` that sum to 1, of the oldest return first."""
    series = returns @ weights
    order = np.argsort(series)
    share, ordered = ages[order], series[order]
    reached = np.cumsum(share)
    last = int(np.searchsorted(reached, probability - 1e-12))
    return -float(ordered[last]), -float(share[: last + 1] @ ordered[: last + 1] / reached[last])


def filtered(returns: Array, weights: Array, decay: float, confidence: float) -> Pair:
    """Filtered historical simulation; the recursion of the variance is a linear filter."""
    series = returns @ weights
    squares = series * series
    variance = lfilter([1.0 - decay], [1.0, -decay], squares[1:], zi=[decay * squares[0]])[0]
    sigma = np.sqrt(np.concatenate((squares[:1], variance)))
    z = series[1:] / sigma[:-1]
    var, es = _tail(z, int(len(z) * (1.0 - confidence) + 1e-9))
    return float(sigma[-1]) * var, float(sigma[-1]) * es


def ewma(returns: Array, weights: Array, ages: Array, z: float, ratio: float) -> Pair:
    """EWMA-normal: the weighted mean of the portfolio's squared returns, by `ewma_weights`."""
    series = returns @ weights
    sigma = math.sqrt(ages @ (series * series))
    return z * sigma, ratio * sigma


def cornish_fisher(returns: Array, weights: Array, z: float, ratio: float) -> Pair:
    """Cornish-Fisher; ``z`` is the quantile of 1 - c, below 0."""
    series = returns @ weights
    mean = float(series.mean())
    apart = series - mean
    squares = apart * apart
    n = len(series)
    variance = float(squares.sum()) / n
    s = float(squares @ apart) / n / variance**1.5
    k = float(squares @ squares) / n / variance**2 - 3.0
    q = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
    mean_q = 1 + z * s / 6 + (z**2 - 1) * k / 24 - (2 * z**2 - 1) * s**2 / 36
    sigma = math.sqrt(variance)
    return -mean - sigma * q, -mean + sigma * ratio * mean_q


def garch(
    returns: Array, weights: Array, parameters: tuple[float, float, float, float], z: float,
    ratio: float,
) -> Pair:  # fmt: skip
    """GARCH(1,1) with given parameters: the variance is a linear filter of squared shocks."""
    mu, omega, alpha, beta = parameters
    shocks = (returns @ weights - mu) ** 2
    before = shocks.mean()
    inputs = omega + alpha * np.concatenate(([before], shocks))
    sigma = math.sqrt(lfilter([1.0], [1.0, -beta], inputs, zi=[beta * before])[0][-1])
    return z * sigma - mu, ratio * sigma - mu


def ewma_components(returns: Array, weights: Array, ages: Array, z: float) -> Array:
    """Component VaR by EWMA: Σw as weighted products with the portfolio, without Σ."""
    series = returns @ weights
    aged = ages * series
    return weights * (aged @ returns) * (z / math.sqrt(aged @ series))


def historical_components(returns: Array, weights: Array, last: int) -> Array:
    """Component VaR by the five scenarios around VaR, with weights 1, 2, 3, 2, 1, rescaled."""
    series = returns @ weights
    order = np.argpartition(series, np.arange(last - 2, last + 3))[last - 2 : last + 3]
    shares = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) @ returns[order] * weights
    components: Array = shares * (-series[order[2]] / shares.sum())
    return components


def covariance_sigma(returns: Array, weights: Array, ages: Array) -> float:
    """Return the portfolio's deviation by the EWMA covariance matrix, which is wanted too."""
    covariance = (returns.T * ages) @ returns
    return math.sqrt(weights @ covariance @ weights)
