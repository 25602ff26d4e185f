"""EWMA variance of one series, and its returns in units of the forecast (RiskMetrics 1996).

``state`` float64[2]: the variance of the next return, and how many returns made it.
"""

from __future__ import annotations

import math

from numba import njit

from operators.market.kernels.order_statistics import insert

VARIANCE, SEEN = 0, 1


@njit("void(f8[::1], f8, f8)", cache=True, nogil=True)
def step(state, decay, ret):
    """Step v = decay v + (1 - decay) r²; the first v is r²."""
    if state[SEEN] == 0.0:
        state[VARIANCE] = ret * ret
    else:
        state[VARIANCE] = decay * state[VARIANCE] + (1.0 - decay) * (ret * ret)
    state[SEEN] += 1.0


@njit("void(f8[::1], f8, f8[::1])", cache=True, nogil=True)
def step_all(state, decay, returns):
    """Step through a series, oldest first."""
    for ret in returns:
        step(state, decay, ret)


@njit("void(f8[::1], i4[::1], i8[::1], f8[::1], f8, f8)", cache=True, nogil=True)
def standardise(ring, order, cursor, state, decay, ret):
    """Insert z = r/σ into the window, σ the forecast before this return, which then steps it.

    Where σ is 0 (before the first return, or all were 0) there is no z.
    """
    sigma = math.sqrt(state[VARIANCE])
    if sigma > 0.0:
        insert(ring, order, cursor, ret / sigma)
    step(state, decay, ret)


@njit("i8(f8[::1], f8, f8[::1], f8[::1])", cache=True, nogil=True)
def standardise_all(state, decay, returns, z):
    """Step through a series, oldest first; ``z`` float64[n] gets its k z's. Returns k."""
    found = 0
    for ret in returns:
        sigma = math.sqrt(state[VARIANCE])
        if sigma > 0.0:
            z[found] = ret / sigma
            found += 1
        step(state, decay, ret)
    return found
