"""The symmetric CUSUM filter on trade returns."""

from __future__ import annotations

import math

from operators.kernels.compiling import kernel

ROWS = "Tuple((b1[::1], i4[::1], f8[::1]))"
"""Whether it is a trade, slot, price; by row of the block."""
CHANGES = "Tuple((i8[::1], i4[::1], f8[::1]))"
"""New thresholds: the row from which each holds, its slot, and what it is."""
SYMBOLS = "Tuple((f8[::1], f8[:, ::1]))"
"""The state by slot: the threshold, 0 where none is known (no event), and float64[., 3] (price, S+,
S-)."""
OUT = "Tuple((i8[::1], f8[::1], f8[::1]))"
"""The events: row, the sum that fired, with its sign, and the threshold."""


@kernel(f"i8({ROWS}, {CHANGES}, {SYMBOLS}, {OUT})")
def cusum(rows, changes, symbols, out):
    """Find the trades at which the log returns have added up to the threshold h; return how many.

    S+ = max(0, S+ + r), S- = min(0, S- + r); S+ >= h or S- <= -h is an event and sets that sum to
    0 (Page, "Continuous inspection schemes", Biometrika 41, 1954; the symmetric filter is in López
    de Prado, "Advances in Financial Machine Learning", 2018, section 2.5.2.1). r is the
    log return from the symbol's trade before, in the order of the rows, whatever their times; there
    is none from or to a price that is not above 0.
    """
    trades, slot, price = rows
    at_row, new_slot, new_threshold = changes
    threshold, state = symbols
    out_row, out_sum, out_threshold = out
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
        if price[i] <= 0.0:
            state[s, 0] = price[i]
            continue
        if price[i] == before:  # most trades: no logarithm is taken
            r = 0.0
        else:
            state[s, 0] = price[i]
            if before <= 0.0:
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
