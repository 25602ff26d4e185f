"""Realised variance, bipower variation and the test for jumps."""

from __future__ import annotations

import math

from numba import njit

JUMP_VARIANCE = math.pi**2 / 4.0 + math.pi - 5.0
"""θ - 2, with θ = π²/4 + π - 3: the asymptotic variance of sqrt(N) (RV - BV) / sqrt(IQ)."""


@njit(
    "void(b1[::1], i4[::1], f8[::1], i8[::1], i8, i8[::1], f8[:, ::1])", cache=True, nogil=True
)  # fmt: skip
def sample(chosen, place, price, ts_ns, grid_ns, win_start, cells):
    """Put each chosen price into its window's cell of the grid: the last one stays.

    ``cells`` float64[windows, cells of a window], 0 where nothing was seen; ``price`` 0 is no
    price.
    """
    for i in range(len(ts_ns)):
        w = place[i]
        if chosen[i] and w >= 0 and price[i] > 0.0:
            cells[w, (ts_ns[i] - win_start[w]) // grid_ns] = price[i]


@njit(
    "void(i4[::1], i8[::1], i8[::1], i8, f8[:, ::1], f8[::1], i8[::1], f8[:, ::1])",
    cache=True,
    nogil=True,
)
def close(slot, start_ns, place, interval_ns, cells, last, last_end, out):
    """Fill ``out`` float64[k, 4] with (N, RV, BV, z) of closing windows; N is -1 without a price.

    r_i is the logarithmic return over cell i of the grid, an empty cell keeping the price before it
    (previous-tick sampling). The first cell's return starts at the last price of the window before,
    if that had one; else N is smaller: no return is taken across a window without a price.

    RV = sum r_i², BV = (π/2) N/(N-1) sum |r_i| |r_i-1|, IQ = (π/2)² N²/(N-3) sum |r_i| .. |r_i-3|
    (quad-power quarticity), z = (RV - BV) / sqrt((θ - 2) IQ / N), standard normal without jumps:
    Barndorff-Nielsen and Shephard, "Econometrics of testing for jumps in financial economics using
    bipower variation", Journal of Financial Econometrics 4, 2006; the factors N/(N-1) and N/(N-3)
    are those of Huang and Tauchen, "The relative contribution of jumps to total price variance",
    same journal 3, 2005. z is NaN where N < 4 or IQ = 0. State by slot: ``last`` float64 and
    ``last_end`` int64, the last price and the end of the window that it is from.
    """
    half_pi = 0.5 * math.pi
    for k in range(len(slot)):
        s, w = slot[k], place[k]
        price = last[s] if last_end[s] == start_ns[k] else 0.0
        n, seen = 0, False
        rv = bv = quad = 0.0
        one = two = three = 0.0
        for c in range(cells.shape[1]):
            now = cells[w, c]
            if now > 0.0:
                seen = True
            else:
                now = price
            if price > 0.0:
                r = abs(math.log(now / price)) if now != price else 0.0
                n += 1
                rv += r * r
                bv += r * one
                quad += r * one * two * three
                three, two, one = two, one, r
            price = now
        out[k, 0] = n if seen else -1
        out[k, 1] = rv
        out[k, 2] = half_pi * n / (n - 1.0) * bv if n > 1 else 0.0
        out[k, 3] = math.nan
        if n > 3 and quad > 0.0:
            quarticity = half_pi**2 * n * n / (n - 3.0) * quad
            out[k, 3] = (rv - out[k, 2]) / math.sqrt(JUMP_VARIANCE * quarticity / n)
        if seen:
            last[s] = price
            last_end[s] = start_ns[k] + interval_ns
