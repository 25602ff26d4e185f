"""Minimum variance, maximum Sharpe ratio and minimum CVaR, as convex programs.

Each returns (weights float64[n], the solver's name) and raises ModelFailed with the reason.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.constraints import Constraints
from operators.market.optimisers.solve import accepted, cvxpy, limits, solve

Weights = tuple[NDArray[np.float64], str]

CONFLICT = "no weights meet the constraints together"
LARGEST = 1e3
"""Times its value: a portfolio that holds more is a direction, blurred by a solver's rounding."""


def min_variance(covariance: NDArray[np.float64], limit: Constraints) -> Weights:
    """Minimise w'Sw (Markowitz 1952) for a positive definite float64[n, n] covariance."""
    cp = cvxpy()
    w = cp.Variable(len(covariance))
    # In units of the mean variance, for a solver's tolerances are absolute too.
    risk = cp.quad_form(w, cp.psd_wrap(covariance / np.diag(covariance).mean()))
    name = solve(cp.Problem(cp.Minimize(risk), limits(w, limit)), CONFLICT)
    return accepted(w.value, limit), name


def max_sharpe(
    expected: NDArray[np.float64], covariance: NDArray[np.float64], limit: Constraints
) -> Weights:
    """Maximise m'w / sqrt(w'Sw), the ratio to cash that earns nothing.

    In y = w k with k > 0 and m'y = 1 the ratio is convex: minimise y'Sy with every limit in
    units of k = sum(y) (Cornuejols, Tütüncü 2006, section 8.2). ``expected`` float64[n]. Fails
    where no portfolio within the limits has a positive expected return, or none is the best.
    """
    cp = cvxpy()
    size = float(np.abs(expected).max())
    if not size > 0.0:
        raise ModelFailed("all expected returns are 0")
    y = cp.Variable(len(expected))
    total = cp.Variable(nonneg=True)
    risk = cp.quad_form(y, cp.psd_wrap(covariance / np.diag(covariance).mean()))
    asked = [*limits(y, limit, total), (expected / size) @ y == 1.0]
    name = solve(
        cp.Problem(cp.Minimize(risk), asked),
        "no portfolio within the constraints has a positive expected return",
    )
    if not float(total.value) * LARGEST > float(np.abs(y.value).sum()):
        raise ModelFailed("no portfolio has the best Sharpe ratio: larger ones are ever better")
    return accepted(y.value / float(total.value), limit), name


def min_cvar(returns: NDArray[np.float64], tail: float, limit: Constraints) -> Weights:
    """Minimise the mean loss of the worst ``tail`` of float64[T, n] returns.

    A linear program in w, the VaR a and the excesses z (Rockafellar, Uryasev 2000):
    a + sum(z) / (tail T), z >= -Rw - a, z >= 0.
    """
    cp = cvxpy()
    count, assets = returns.shape
    scaled = returns / np.abs(returns).max()
    w, var = cp.Variable(assets), cp.Variable()
    excess = cp.Variable(count, nonneg=True)
    cvar = var + cp.sum(excess) / (tail * count)
    asked = [*limits(w, limit), excess >= -(scaled @ w) - var]
    name = solve(
        cp.Problem(cp.Minimize(cvar), asked),
        f"{CONFLICT}, or they let a gain in every past return grow without end",
    )
    return accepted(w.value, limit), name


def nearest(weights: NDArray[np.float64], limit: Constraints) -> Weights:
    """Return the weights within the limits that are nearest to ``weights`` (Euclid)."""
    cp = cvxpy()
    w = cp.Variable(len(weights))
    distance = cp.sum_squares(w - weights)
    name = solve(cp.Problem(cp.Minimize(distance), limits(w, limit)), CONFLICT)
    return accepted(w.value, limit), name
