"""Signals of one symbol from scratch in whole-array numpy: what ours per tick is measured against.

Every function takes the ticks of a window, oldest first, before which nothing is known, as the
kernels are with fresh state; formulas and sources are theirs (operators/market/kernels).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded

Array = NDArray[np.float64]
Times = NDArray[np.int64]


def order_flow(best: Array) -> Array:
    """Return e of each quote float64[n, 4] (bid, size, ask, size), both sides given."""
    bid, bid_size, ask, ask_size = best.T
    e = np.zeros(len(best))
    e[1:] = bid_size[1:] * (bid[1:] >= bid[:-1]) - bid_size[:-1] * (bid[1:] <= bid[:-1])
    e[1:] -= ask_size[1:] * (ask[1:] <= ask[:-1]) - ask_size[:-1] * (ask[1:] >= ask[:-1])
    return e


def micro_price(best: Array, table: Array, tick: float) -> Array:
    """Return float64[4, n]: micro-price, weighted mid, imbalance and spread of each quote."""
    bid, bid_size, ask, ask_size = best.T
    imbalance = bid_size / (bid_size + ask_size)
    weighted = imbalance * ask + (1.0 - imbalance) * bid
    spread = ask - bid
    rows, columns = table.shape
    column = (spread / tick - 0.5).astype(np.int64)
    row = np.minimum((imbalance * rows).astype(np.int64), rows - 1)
    g = table[row, np.minimum(column, columns - 1)]
    value = np.where(column < columns, 0.5 * (bid + ask) + g, weighted)
    return np.stack((value, weighted, imbalance, spread))


def realised(
    price: Array, ts_ns: Times, start_ns: int, grid_ns: int, cells: int
) -> tuple[float, ...]:
    """Return (N, RV, BV, z) of one window of at least four returns."""
    grid = np.zeros(cells)
    grid[(ts_ns - start_ns) // grid_ns] = price
    seen = grid > 0.0
    at = np.maximum.accumulate(np.where(seen, np.arange(cells), 0))
    r = np.abs(np.diff(np.log(grid[at[np.argmax(seen) :]])))
    n = len(r)
    rv = float(r @ r)
    ahead = r[1:] * r[:-1]
    bv = math.pi / 2 * n / (n - 1) * float(ahead.sum())
    quarticity = (math.pi / 2) ** 2 * n * n / (n - 3) * float(ahead[2:] @ ahead[:-2])
    if quarticity == 0.0:
        return n, rv, bv, math.nan
    return n, rv, bv, (rv - bv) / math.sqrt((math.pi**2 / 4 + math.pi - 5) * quarticity / n)


def kyle_lambda(signed: Array, mid: Array) -> tuple[float, float]:
    """Return (lambda, R²) of one regression of the mid's changes on the signed volume before."""
    q, d = signed[:-1], np.diff(mid)
    q = q - q.mean()
    d = d - d.mean()
    cov, var_q, var_d = float(q @ d), float(q @ q), float(d @ d)
    return cov / var_q, cov * cov / (var_q * var_d)


def kyle_lambdas(signed: Array, mid: Array, width: int) -> Array:
    """Return float64[2, n - 1]: (lambda, R²) after each but the first trade, by running sums."""
    q, d = signed[:-1], np.diff(mid)
    sums = np.zeros((5, len(mid)))
    np.cumsum((q, d, q * q, q * d, d * d), axis=1, out=sums[:, 1:])
    low = np.maximum(np.arange(1, len(mid)) - width, 0)
    n = np.arange(1, len(mid)) - low
    sq, sd, sqq, sqd, sdd = sums[:, 1:] - sums[:, low]
    cov, var_q, var_d = sqd - sq * sd / n, sqq - sq * sq / n, sdd - sd * sd / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack((cov / var_q, cov * cov / (var_q * var_d)))


def hawkes(sign: NDArray[np.int8], ts_ns: Times, beta: float) -> tuple[float, float]:
    """Return R of buys and of sells after the last trade."""
    decayed = np.exp((ts_ns - ts_ns[-1]) * (1e-9 * beta))
    return float(decayed @ (sign > 0)), float(decayed @ (sign < 0))


def excitations(sign: NDArray[np.int8], ts_ns: Times, beta: float) -> Array:
    """Return float64[2, n]: R of buys and sells after each trade; beta times all within 700."""
    grown = np.exp((ts_ns - ts_ns[0]) * (1e-9 * beta))
    found: Array = np.cumsum((grown * (sign > 0), grown * (sign < 0)), axis=1) / grown
    return found


def cusum(price: Array, h: float) -> tuple[list[int], tuple[float, float]]:
    """Return the trades that fired and (S+, S-) after the last.

    One pass of whole-array numpy for each event, since an event sets its sum back to 0. Where both
    would fire at once only S+ does; they never do, as |r| is below h.
    """
    path = np.log(price)
    fired: list[int] = []
    sums = []
    for way in (1.0, -1.0):
        x, begin = way * path, 0
        while True:
            rise = x[begin:] - np.minimum.accumulate(x[begin:])
            hit = int(np.argmax(rise >= h))
            if rise[hit] < h:
                break
            begin += hit
            fired.append(begin)
        sums.append(way * float(rise[-1]))
    return sorted(fired), (sums[0], sums[1])


def vpin(
    sign: NDArray[np.int8], size: Array, volume: float, buckets: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the trades that complete a bucket, from ``buckets`` on, and the VPIN after each.

    What was bought by each edge of a bucket is interpolated along the trade that crosses it.
    """
    total = np.cumsum(size)
    bought = np.cumsum((0.5 + 0.5 * sign) * size)
    edges = volume * np.arange(int(total[-1] / volume) + 1)
    at = np.interp(edges, np.append(0.0, total), np.append(0.0, bought))
    sums = np.append(0.0, np.cumsum(np.abs(2.0 * np.diff(at) - volume)))
    complete = (total / volume).astype(np.int64)
    fired = np.flatnonzero((np.diff(complete, prepend=0) > 0) & (complete >= buckets))
    done = complete[fired]
    return fired, (sums[done] - sums[done - buckets]) / (buckets * volume)


def pairs(
    y: Array, x: Array, process_variance: float, noise_variance: float, prior_variance: float
) -> tuple[float, float]:
    """Return the last innovation of the Kalman filter and its variance.

    Filtered (a, b) are the end of the path that minimises the sum of squares of noise and steps:
    a system of equations with five diagonals, of which LAPACK's factor has their covariance too.
    """
    n = len(y) - 1
    bands = np.zeros((3, 2 * n))
    step = np.full(n, 2.0 / process_variance)
    step[0] = 1.0 / process_variance + 1.0 / (prior_variance + process_variance)
    step[-1] -= 1.0 / process_variance
    bands[0, 2:] = -1.0 / process_variance
    bands[1, 1::2] = x[:-1] / noise_variance
    bands[2, ::2] = step + 1.0 / noise_variance
    bands[2, 1::2] = step + x[:-1] * x[:-1] / noise_variance
    right = np.empty(2 * n)
    right[::2] = y[:-1] / noise_variance
    right[1::2] = x[:-1] * y[:-1] / noise_variance
    factor = cholesky_banded(bands, overwrite_ab=True, check_finite=False)
    a, b = cho_solve_banded((factor, False), right, check_finite=False)[-2:].tolist()
    # The last two rows of the factor: P = (U'U)^-1, and h P h' is the square of U'^-1 h.
    first = 1.0 / factor[2, -2]
    second = (float(x[-1]) - factor[1, -1] * first) / factor[2, -1]
    variance = process_variance * (1.0 + float(x[-1]) ** 2) + noise_variance
    return float(y[-1]) - a - b * float(x[-1]), float(first**2 + second**2 + variance)
