"""The symmetric CUSUM filter on trade returns."""

from __future__ import annotations

import math

from numba import njit


@njit(
    "i8(b1[::1], i4[::1], f8[::1], i8[::1], i4[::1], f8[::1], f8[::1], f8[:, ::1], i8[::1], "
    "f8[::1], f8[::1])",
    cache=True,
    nogil=True,
)
def cusum(
    trades, slot, price, at_row, new_slot, new_threshold, threshold, state,
    out_row, out_sum, out_threshold,
):  # fmt: skip
    """Find the trades at which the log returns have added up to the threshold h; return how many.

    S+ = max(0, S+ + r), S- = min(0, S- + r); S+ >= h or S- <= -h is an event and sets that sum to
    0 (Page, "Continuous inspection schemes", Biometrika 41, 1954; the symmetric filter is in López
    de Prado, "Advances in Financial Machine Learning", 2018, section 2.5.2.1). r is the
    log return from the symbol's trade before, in the order of the rows, whatever their times.

    ``new_threshold`` holds for its ``new_slot`` from row ``at_row`` on. State by slot:
    ``threshold`` float64, 0 where none is known (no event), and ``state`` float64[., 3] (price,
    S+, S-). The k found go to ``out_row``, ``out_sum`` (the sum that fired, signed) and
    ``out_threshold``.
    """
    found = 0
    f = 0
    for i in range(len(slot)):
        while f < len(at_row) and at_row[f] <= i:
            threshold[new_slot[f]] = new_threshold[f]
            f += 1
        if not trades[i]:
            continue
        s = slot[i]
        before = state[s, 0]
        if price[i] == before:
            r = 0.0
        else:
            state[s, 0] = price[i]
            if before == 0.0:
                continue
            r = math.log(price[i] / before)
        up = max(0.0, state[s, 1] + r)
        down = min(0.0, state[s, 2] + r)
        h = threshold[s]
        if h > 0.0 and (up >= h or down <= -h):
            out_row[found] = i
            out_threshold[found] = h
            if up >= h:
                out_sum[found] = up
                up = 0.0
            else:
                out_sum[found] = down
                down = 0.0
            found += 1
        state[s, 1] = up
        state[s, 2] = down
    return found
