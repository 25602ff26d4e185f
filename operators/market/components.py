"""What each position adds to a portfolio's VaR.

VaR is homogeneous of degree one in the weights, so it is the sum of wᵢ ∂VaR/∂wᵢ (Euler; Tasche
1999, "Risk contributions and performance measurement"). The derivative is the marginal VaR, each
term a component. Incremental VaR is the change by a whole position, by full revaluation: these do
not sum to VaR.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.market.kernels import components as kernel
from operators.market.kernels.portfolio import weighted_sums
from operators.market.methods.method import Method


class Contributions(NamedTuple):
    """By asset: VaR per unit of more weight, and what the present weight makes of it."""

    marginal: NDArray[np.float64]
    component: NDArray[np.float64]


def ewma_components(
    cov_w: NDArray[np.float64], weights: NDArray[np.float64], factor: float, sigma: float
) -> Contributions:
    """Return the contributions to VaR = ``factor`` σ, where σ² = w'Σw.

    ``cov_w`` float64[N] is Σw, by `step_cov_w` over the returns that σ is of; the marginal is
    factor (Σw)ᵢ/σ, and 0 where σ is.
    """
    scale = factor / sigma if sigma > 0.0 else 0.0
    marginal = scale * cov_w
    return Contributions(marginal, weights * marginal)


def historical_components(
    returns: NDArray[np.float64],
    order: NDArray[np.int64],
    weights: NDArray[np.float64],
    last: int,
) -> Contributions:
    """Return the contributions to VaR = minus the portfolio's ascending return at ``last``.

    ``returns`` float64[n, N] has a row a period, in any order (a ring may be handed over as it is);
    ``order`` int64[n] lists its rows by ascending return of the portfolio under ``weights``;
    ``last`` is `kernels.order_statistics.tail_index`. The component is E[-wᵢrᵢ | portfolio at VaR]
    (Hallerbach 2003, Journal of Risk 5(2)), smoothed over the two order statistics on each side
    with the weights 1, 2, 3, 2, 1, as one scenario alone is noise (Epperlein and Smillie 2006,
    "Cracking VaR with kernels", Risk 19(8)), and rescaled so that they sum to VaR.
    """
    marginal = np.empty(len(weights))
    kernel.historical_marginal(returns, order, weights, last, marginal)
    return Contributions(marginal, weights * marginal)


def ewma_incremental(
    without: NDArray[np.float64], factor: float, sigma: float
) -> NDArray[np.float64]:
    """Return each position's incremental VaR float64[N], of VaR = ``factor`` σ.

    ``without`` float64[N] are the EWMA variances of the portfolio without each position, by
    `step_without` over the returns that σ is of.
    """
    return factor * (sigma - np.sqrt(without))


def historical_incremental(
    returns: NDArray[np.float64],
    series: NDArray[np.float64],
    weights: NDArray[np.float64],
    last: int,
    var: float,
) -> NDArray[np.float64]:
    """Return each position's incremental VaR float64[N]: all of `incremental_var` at once.

    ``series`` float64[n] are the portfolio's returns in the rows of ``returns`` float64[n, N], and
    ``var`` is its VaR; ``last`` as above. O(nN): a selection for each position.
    """
    without = series - (returns * weights).T
    return var + np.partition(without, last, axis=1)[:, last]


def incremental_var(
    scratch: Method,
    returns: NDArray[np.float64],
    weights: NDArray[np.float64],
    index: int,
    confidence: float,
) -> float:
    """Return VaR less VaR without the position ``index``, whose weight goes to nobody.

    Both by ``scratch``, whose state is overwritten, on ``returns`` float64[n, N], oldest first,
    of which there must be enough for the method to say anything.
    """
    without = weights.copy()
    without[index] = 0.0
    return _var(scratch, returns, weights, confidence) - _var(scratch, returns, without, confidence)


def _var(
    scratch: Method,
    returns: NDArray[np.float64],
    weights: NDArray[np.float64],
    confidence: float,
) -> float:
    series = np.empty(len(returns))
    weighted_sums(returns, 0, len(returns), np.arange(len(weights)), weights, series)
    scratch.revalue(series)
    figure = scratch.forecast(confidence)
    assert figure is not None, "too few returns for the method"
    return figure.var
