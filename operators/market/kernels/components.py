"""Gradients of a portfolio's VaR by its weights. Sums run in the order of the assets."""

from __future__ import annotations

from numba import njit

REACH = 2
"""How many order statistics on each side of VaR's are averaged, with weights 1, 2, 3, 2, 1."""


@njit("void(f8[::1], f8[::1], f8[::1], f8, b1)", cache=True, nogil=True)
def step_cov_w(cov_w, returns, weights, decay, is_first):
    """Step Σw = decay Σw + (1 - decay) r(w'r) in place, the first is r(w'r).

    It is the product of the EWMA covariance (kernels/volatility.py) and fixed weights, in O(N).
    """
    portfolio = 0.0
    for i in range(len(weights)):
        portfolio += weights[i] * returns[i]
    for i in range(len(weights)):
        product = returns[i] * portfolio
        if is_first:
            cov_w[i] = product
        else:
            cov_w[i] = decay * cov_w[i] + (1.0 - decay) * product


@njit("void(f8[::1], f8[:, ::1], f8[::1], f8)", cache=True, nogil=True)
def step_cov_w_all(cov_w, returns, weights, decay):
    """Set Σw to that of the returns float64[n, N], oldest first; zeros where there are none."""
    cov_w[:] = 0.0
    for t in range(len(returns)):
        step_cov_w(cov_w, returns[t], weights, decay, t == 0)


@njit("void(f8[::1], f8[::1], f8[::1], f8, b1)", cache=True, nogil=True)
def step_without(without, returns, weights, decay, is_first):
    """Step v = decay v + (1 - decay) (w'r - wᵢrᵢ)² in place, the first is (w'r - wᵢrᵢ)².

    It is the EWMA variance of the portfolio without each position, whose weight goes to nobody.
    """
    portfolio = 0.0
    for i in range(len(weights)):
        portfolio += weights[i] * returns[i]
    for i in range(len(weights)):
        rest = portfolio - weights[i] * returns[i]
        if is_first:
            without[i] = rest * rest
        else:
            without[i] = decay * without[i] + (1.0 - decay) * (rest * rest)


@njit("void(f8[::1], f8[:, ::1], f8[::1], f8)", cache=True, nogil=True)
def step_without_all(without, returns, weights, decay):
    """Set the variances to those of the returns float64[n, N], oldest first; zeros where none."""
    without[:] = 0.0
    for t in range(len(returns)):
        step_without(without, returns[t], weights, decay, t == 0)


@njit("void(f8[:, ::1], i8[::1], f8[::1], i8, f8[::1])", cache=True, nogil=True)
def historical_marginal(returns, order, weights, last, marginal):
    """Set ``marginal`` float64[N] to the derivatives of minus the portfolio's ``last`` statistic.

    They are E[-rᵢ | portfolio at VaR], averaged over the neighbouring order statistics and then
    rescaled so that w'marginal is VaR. Where that would more than double or halve them, the
    scenario of VaR itself is taken, whose losses sum to VaR by definition.
    """
    marginal[:] = 0.0
    spread = 0.0
    for k in range(max(last - REACH, 0), min(last + REACH + 1, len(order))):
        share = REACH + 1.0 - abs(k - last)
        spread += share
        for i in range(len(weights)):
            marginal[i] -= share * returns[order[k], i]
    value_at_risk = 0.0
    total = 0.0
    for i in range(len(weights)):
        value_at_risk -= weights[i] * returns[order[last], i]
        total += weights[i] * marginal[i]
    total /= spread
    near = min(2.0 * value_at_risk, 0.5 * value_at_risk)
    far = max(2.0 * value_at_risk, 0.5 * value_at_risk)
    for i in range(len(weights)):
        if total != 0.0 and near <= total <= far:
            marginal[i] *= value_at_risk / (total * spread)
        else:
            marginal[i] = 0.0 - returns[order[last], i]
