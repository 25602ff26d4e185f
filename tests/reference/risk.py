"""VaR and ES of the next return by each method, from the definitions, over a whole series.

``returns`` are simple returns, oldest first, all that is known at the close of day t. A figure
is a pair (VaR, ES) for the return of day t+1 at ``confidence`` c: positive for a loss, in
fractions of the portfolio's value. Nothing is kept between calls. Where the definitions leave
a choice it is said here:

- age-weighted: the smallest return at which the cumulated weight exceeds 1-c, so that equal
  weights give the historical index floor(n(1-c)); of equal returns the older comes first;
- filtered-historical: a return which met a forecast of zero has z = 0, the first one has none;
- garch-normal: h0 stands for the variance *and* the squared residual before the history, so the
  first return has the variance omega + (alpha + beta) h0 (Fiorentini, Calzolari and Panattoni
  1996; only this reproduces their estimates);
- cornish-fisher: without dispersion skewness and excess kurtosis count as 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

Series = NDArray[np.float64]
VarEs = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GarchParameters:
    """A constant mean and GARCH(1,1), for returns as they are (not percent)."""

    mu: float
    omega: float
    alpha: float
    beta: float


def tail_index(count: int, confidence: float) -> int:
    """Return floor(n(1-c)), zero-based; 500 returns at 99 % give 5, whatever 1 - 0.99 rounds to."""
    return int(count * (1 - confidence) + 1e-9)


def tail(values: Series, confidence: float) -> VarEs:
    """Return minus the order statistic of the values and minus the mean up to and including it."""
    ascending = np.sort(values)
    k = tail_index(len(values), confidence)
    return -float(ascending[k]), -float(np.mean(ascending[: k + 1]))


def historical(returns: Series, confidence: float, window: int = 500) -> VarEs:
    return tail(returns[-window:], confidence)


def historical_marginal(returns: Series, weights: Series, confidence: float) -> Series:
    """Return dVaR/dw of the window float64[n, assets]: five scenarios around VaR's, as losses.

    They count 1, 2, 3, 2, 1, and are scaled to sum to VaR; where that would more than double or
    halve them, VaR's own scenario is taken alone.
    """
    order = np.argsort(returns @ weights, kind="stable")
    last = tail_index(len(returns), confidence)
    var = -float((returns @ weights)[order[last]])
    shares = {last + step: 3 - abs(step) for step in (-2, -1, 0, 1, 2)}
    near = [(u, -returns[order[k]]) for k, u in shares.items() if 0 <= k < len(returns)]
    mean = sum(u * losses for u, losses in near) / sum(u for u, _ in near)
    total = float(weights @ mean)
    if total != 0 and min(2 * var, var / 2) <= total <= max(2 * var, var / 2):
        return np.asarray(mean * (var / total))
    return np.asarray(-returns[order[last]])


def age_weights(count: int, decay: float) -> Series:
    """Return (1-d) d^(i-1) / (1-d^n), i = 1 the newest, in the order of the returns.

    Boudoukh, Richardson and Whitelaw, "The Best of Both Worlds", Risk 11 (1998).
    """
    age = np.arange(count, 0, -1)
    return np.asarray((1 - decay) * decay ** (age - 1) / (1 - decay**count), dtype=np.float64)


def age_weighted(
    returns: Series, confidence: float, window: int = 500, decay: float = 0.99
) -> VarEs:
    recent = returns[-window:]
    order = np.argsort(recent, kind="stable")
    ascending, weights = recent[order], age_weights(len(recent), decay)[order]
    k = int(np.argmax(np.cumsum(weights) > 1 - confidence))
    worst, load = ascending[: k + 1], weights[: k + 1]
    return -float(ascending[k]), -float(np.sum(load * worst) / np.sum(load))


def ewma_variances(returns: Series, decay: float = 0.94) -> Series:
    """Return, for each return, the variance forecast once it is known; the first is its square."""
    variances = [float(returns[0]) ** 2]
    for value in returns[1:]:
        variances.append(decay * variances[-1] + (1 - decay) * float(value) ** 2)
    return np.array(variances)


def standardised(returns: Series, decay: float = 0.94) -> Series:
    """Return each return but the first over the volatility forecast one day before."""
    sigmas = np.sqrt(ewma_variances(returns, decay))[:-1]
    return np.divide(returns[1:], sigmas, out=np.zeros(len(sigmas)), where=sigmas > 0)


def filtered_historical(
    returns: Series, confidence: float, window: int = 500, decay: float = 0.94
) -> VarEs:
    """Return the tail of the last ``window`` z's times the forecast; needs two returns.

    Barone-Adesi, Giannopoulos and Vosper, "VaR without correlations" (1999), with an EWMA filter.
    """
    var, shortfall = tail(standardised(returns, decay)[-window:], confidence)
    sigma = math.sqrt(ewma_variances(returns, decay)[-1])
    return sigma * var, sigma * shortfall


def normal(mean: float, sigma: float, confidence: float) -> VarEs:
    z = norm.ppf(1 - confidence)
    return -(mean + sigma * z), -mean + sigma * norm.pdf(z) / (1 - confidence)


def ewma_normal(returns: Series, confidence: float, decay: float = 0.94) -> VarEs:
    return normal(0.0, math.sqrt(ewma_variances(returns, decay)[-1]), confidence)


def ewma_marginal(
    returns: Series, weights: Series, confidence: float, decay: float = 0.94
) -> Series:
    """Return dVaR/dw of the returns float64[n, assets]: z cov(asset, portfolio) / sigma."""
    portfolio = returns @ weights
    ages = np.arange(len(returns))[::-1]
    shares = (1 - decay) * decay**ages
    shares[0] = decay ** ages[0]
    variance = float(shares @ portfolio**2)
    if variance == 0:
        return np.zeros(len(weights))
    z = normal(0.0, 1.0, confidence)[0]
    return np.asarray(z * ((shares * portfolio) @ returns) / math.sqrt(variance))


def moments(returns: Series) -> tuple[float, float, float, float]:
    """Return mean, deviation, skewness and excess kurtosis of a population."""
    mean = float(np.mean(returns))
    deviation = float(np.sqrt(np.mean((returns - mean) ** 2)))
    if deviation == 0:
        return mean, 0.0, 0.0, 0.0
    z = (returns - mean) / deviation
    return mean, deviation, float(np.mean(z**3)), float(np.mean(z**4)) - 3


def cornish_fisher_quantile(z: float, skew: float, excess: float) -> float:
    """Return the standardised quantile (Cornish and Fisher 1937, to the third order)."""
    return (
        z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    )


def is_monotone(skew: float, excess: float) -> bool:
    """Return whether the quantile rises with z everywhere: its slope has no two real roots.

    The domain of validity of Maillard, "A User's Guide to the Cornish Fisher Expansion" (2012).
    """
    a, b = excess / 8 - skew**2 / 6, skew / 3
    c = 1 - excess / 8 + 5 * skew**2 / 36
    return (a > 0 and b * b <= 4 * a * c) or (a == 0 and b == 0 and c >= 0)


def cornish_fisher_of(
    mean: float, sigma: float, skew: float, excess: float, confidence: float
) -> VarEs:
    """Return VaR, and ES by integrating the quantile over the tail."""
    z = float(norm.ppf(1 - confidence))
    integral, _ = quad(
        lambda x: cornish_fisher_quantile(x, skew, excess) * norm.pdf(x),
        -40.0,  # the density is 0 in doubles below
        z,
        epsabs=1e-14,
        epsrel=1e-12,
        points=(-8.0, -4.0),
        limit=200,
    )
    quantile = cornish_fisher_quantile(z, skew, excess)
    return -(mean + sigma * quantile), -(mean + sigma * integral / (1 - confidence))


def cornish_fisher(returns: Series, confidence: float, window: int = 500) -> VarEs:
    return cornish_fisher_of(*moments(returns[-window:]), confidence)


def cornish_fisher_is_valid(returns: Series, window: int = 500) -> bool:
    _, _, skew, excess = moments(returns[-window:])
    return is_monotone(skew, excess)


def garch_variances(residuals: Series, parameters: GarchParameters, before: float) -> Series:
    """Return the variance of each residual and of the next one; ``before`` is h0."""
    square, variances = before, [before]
    for residual in (*residuals, math.nan):
        p = parameters
        variances.append(p.omega + p.alpha * square + p.beta * variances[-1])
        square = float(residual) ** 2
    return np.array(variances[1:])


def garch_normal(
    returns: Series,
    confidence: float,
    parameters: GarchParameters,
    start: int = 0,
    stop: int | None = None,
) -> VarEs:
    """Return the forecast of a filter that started on ``returns[start:stop]``.

    That history, by default all, gives h0 = mean((r - mu)^2); the recursion runs from its first
    return through the last one known.
    """
    residuals = returns[start:] - parameters.mu
    history = returns[start:stop] - parameters.mu
    variances = garch_variances(residuals, parameters, float(np.mean(history**2)))
    return normal(parameters.mu, math.sqrt(variances[-1]), confidence)
