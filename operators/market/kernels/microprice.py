"""The size-weighted mid price and Stoikov's micro-price."""

from __future__ import annotations

from numba import njit


@njit(
    "void(b1[::1], i4[::1], i4[::1], f8[:, ::1], f8[:, ::1], f8[:, :, ::1], f8, f8[:, ::1])",
    cache=True,
    nogil=True,
)
def micro_price(quotes, slot, place, best, table_of, tables, tick, windows):
    """Put (micro-price, weighted mid, imbalance, spread, 1) of the last quote into its window.

    The imbalance is I = qb / (qb + qa), the weighted mid I Pa + (1 - I) Pb, the micro-price
    mid + G(I, S) (Stoikov, "The micro-price: a high-frequency estimator of future prices",
    Quantitative Finance 18, 2018; SSRN 2970694), with G from ``tables`` float64[., imbalances,
    spreads], of which ``table_of`` float64[slots, 1] chooses one (below 0: none). Row k of a table
    holds I in [k, k + 1) / rows, column j a spread of j + 1 ticks. Where G is not known (no table,
    NaN, or a spread outside of it), the micro-price is the weighted mid. A quote that leaves a side
    absent changes nothing.
    """
    rows, columns = tables.shape[1], tables.shape[2]
    for i in range(len(slot)):
        w = place[i]
        if not quotes[i] or w < 0:
            continue
        bid, bid_size, ask, ask_size = best[i, 0], best[i, 1], best[i, 2], best[i, 3]
        if bid == 0.0 or ask == 0.0:
            continue
        imbalance = bid_size / (bid_size + ask_size)
        weighted = imbalance * ask + (1.0 - imbalance) * bid
        spread = ask - bid
        value = weighted
        t = int(table_of[slot[i], 0])
        if t >= 0:
            column = spread / tick - 0.5
            if 0.0 <= column < columns:
                g = tables[t, min(int(imbalance * rows), rows - 1), int(column)]
                if g == g:  # not NaN
                    value = 0.5 * (bid + ask) + g
        windows[w, 0] = value
        windows[w, 1] = weighted
        windows[w, 2] = imbalance
        windows[w, 3] = spread
        windows[w, 4] = 1.0
