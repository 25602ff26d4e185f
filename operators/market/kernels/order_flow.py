"""Order flow imbalance."""

from __future__ import annotations

from numba import njit


@njit("void(b1[::1], i4[::1], i4[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])", cache=True, nogil=True)
def order_flow(quotes, slot, place, best, last, windows):
    """Add each quote's contribution e to its window's sum (column 0) and count it (column 1).

    e = qb_n 1{Pb_n >= Pb_o} - qb_o 1{Pb_n <= Pb_o} - qa_n 1{Pa_n <= Pa_o} + qa_o 1{Pa_n >= Pa_o},
    where n is the new and o the old best quote (Cont, Kukanov and Stoikov, "The price impact of
    order book events", Journal of Financial Econometrics 12, 2014; arXiv 1011.6402).
    A side that is absent before or after contributes nothing. ``best`` float64[n, 4] is (bid, size,
    ask, size) after each quote; ``last`` float64[slots, 4] is the state.
    """
    for i in range(len(slot)):
        if not quotes[i]:
            continue
        s = slot[i]
        bid, bid_size, ask, ask_size = best[i, 0], best[i, 1], best[i, 2], best[i, 3]
        e = 0.0
        if bid_size > 0.0 and last[s, 1] > 0.0:
            if bid >= last[s, 0]:
                e += bid_size
            if bid <= last[s, 0]:
                e -= last[s, 1]
        if ask_size > 0.0 and last[s, 3] > 0.0:
            if ask <= last[s, 2]:
                e -= ask_size
            if ask >= last[s, 2]:
                e += last[s, 3]
        last[s, 0] = bid
        last[s, 1] = bid_size
        last[s, 2] = ask
        last[s, 3] = ask_size
        w = place[i]
        if w >= 0:
            windows[w, 0] += e
            windows[w, 1] += 1.0
