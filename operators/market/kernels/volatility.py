"""EWMA volatility and covariance (RiskMetrics 1996, section 5.2)."""

from __future__ import annotations

import math

from operators.kernels.compiling import kernel

BARS = "Tuple((i4[::1], f8[::1], i8[::1]))"
"""slot, close and session of each bar."""
SYMBOLS = "Tuple((f8[::1], f8[::1], i8[::1], i8[::1]))"
"""The state by slot: last close (0 before the first bar), variance, returns so far, session of the
last bar."""
OUT = "Tuple((f8[::1], b1[::1], f8[::1], i8[::1]))"
"""Of each bar: its simple return (0 where it has none), whether it has one, the standard deviation
that is forecast for the next one, and the returns so far."""


@kernel(f"void({BARS}, f8, {SYMBOLS}, {OUT})")
def ewma_volatility(bars, decay, symbols, out):
    """Step the variance of each closing bar's symbol: v = decay v + (1 - decay) r², first v = r².

    No return is taken from a bar of one session to a bar of another: over night prices jump. None
    is taken from or to a price that is not above 0, and such a bar counts as without returns.
    """
    slot, close, session = bars
    last_close, variance, observations, last_session = symbols
    ret, has_return, sigma, seen = out
    for i in range(len(slot)):
        s = slot[i]
        ret[i] = 0.0
        has_return[i] = last_close[s] > 0.0 and close[i] > 0.0 and last_session[s] == session[i]
        if has_return[i]:
            r = close[i] / last_close[s] - 1.0
            ret[i] = r
            if observations[s] == 0:
                variance[s] = r * r
            else:
                variance[s] = decay * variance[s] + (1.0 - decay) * (r * r)
            observations[s] += 1
        last_close[s] = close[i]
        last_session[s] = session[i]
        sigma[i] = math.sqrt(variance[s])
        seen[i] = observations[s] if close[i] > 0.0 else 0


@kernel("void(f8[:, ::1], f8[::1], f8, b1)")
def ewma_covariance(covariance, returns, decay, is_first):
    """Step S = decay S + (1 - decay) r r' in place; the first S is r r'."""
    n = len(returns)
    for i in range(n):
        for j in range(n):
            product = returns[i] * returns[j]
            if is_first:
                covariance[i, j] = product
            else:
                covariance[i, j] = decay * covariance[i, j] + (1.0 - decay) * product


@kernel("f8(f8[:, ::1], f8[::1], f8[::1])")
def portfolio_sigma(covariance, weights, marginal):
    """Return sqrt(w'Sw); ``marginal`` gets Sw. Sums run in index order."""
    n = len(weights)
    total = 0.0
    for i in range(n):
        inner = 0.0
        for j in range(n):
            inner += covariance[i, j] * weights[j]
        marginal[i] = inner
        total += weights[i] * inner
    return math.sqrt(max(total, 0.0))
