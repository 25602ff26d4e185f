"""Equal risk contributions by cyclical coordinate descent.

Griveau-Billion, Richard, Roncalli (2013), "A fast algorithm for computing high-dimensional
risk parity portfolios".
"""

from __future__ import annotations

import math

from numba import njit


@njit("i8(f8[:, ::1], f8[::1], f8[::1], f8[::1], i8, f8)", cache=True, nogil=True)
def risk_parity(covariance, budgets, x, product, max_sweeps, tolerance):
    """Minimise x'Sx / 2 - sum b_i ln x_i over x > 0 in place; return the sweeps, -1 for too many.

    ``covariance`` float64[n, n]: symmetric, positive diagonal. ``budgets`` float64[n]: positive
    shares of the risk that sum to 1. ``x`` float64[n]: where to start, positive; in the end
    x_i (Sx)_i = b_i within ``tolerance`` for every i, and x / sum(x) are the weights.
    ``product`` float64[n] is overwritten. Each step minimises in one x_i: the positive root of
    s_ii x_i^2 + c_i x_i - b_i with c_i the sum of s_ij x_j over the others (Spinu 2013's
    function, in which the paper's sigma(x) is 1 at the minimum).
    """
    n = len(x)
    for sweep in range(max_sweeps + 1):
        worst = 0.0
        # From scratch in every sweep, so that the updates' rounding does not add up.
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += covariance[i, j] * x[j]
            product[i] = total
            worst = max(worst, abs(x[i] * total - budgets[i]))
        if worst <= tolerance:
            return sweep
        if sweep == max_sweeps:
            break
        for i in range(n):
            own = covariance[i, i]
            others = product[i] - own * x[i]
            root = math.sqrt(others * others + 4.0 * own * budgets[i])
            # The form of the root in which nothing cancels.
            if others > 0.0:
                best = 2.0 * budgets[i] / (others + root)
            else:
                best = (root - others) / (2.0 * own)
            change = best - x[i]
            x[i] = best
            for j in range(n):
                product[j] += covariance[j, i] * change
    return -1
