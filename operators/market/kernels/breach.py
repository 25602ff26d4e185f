"""Moves beyond the last forecast, tick by tick."""

from __future__ import annotations

from numba import njit

DOWN, UP = 1, 2


@njit(
    "i8(i4[::1], b1[::1], f8[::1], i8[::1], i4[::1], f8[::1], f8[::1], "
    "f8[::1], f8[::1], u1[::1], i8[::1], u1[::1], f8[::1], f8[::1])",
    cache=True,
    nogil=True,
)
def breaches(
    slot, counts, price, at_row, forecast_slot, forecast_price, forecast_threshold,
    reference, threshold, fired, out_row, out_side, out_move, out_threshold,
):  # fmt: skip
    """Find the trades whose move from the reference price exceeds the forecast threshold.

    A forecast replaces its slot's ``reference`` and ``threshold`` float64[slots] (negative: not
    valid) before row ``at_row`` is judged, and re-arms ``fired`` uint8[slots] (bits DOWN, UP): a
    side fires once between forecasts. The k found go to ``out_row``, ``out_side``, ``out_move``
    (simple return) and ``out_threshold``. Returns k.
    """
    found = 0
    f = 0
    for i in range(len(slot)):
        while f < len(at_row) and at_row[f] <= i:
            s = forecast_slot[f]
            reference[s] = forecast_price[f]
            threshold[s] = forecast_threshold[f]
            fired[s] = 0
            f += 1
        if not counts[i]:
            continue
        s = slot[i]
        limit = threshold[s]
        if reference[s] == 0.0 or limit < 0.0:
            continue
        move = price[i] / reference[s] - 1.0
        if move < -limit and fired[s] & DOWN == 0:
            side = DOWN
        elif move > limit and fired[s] & UP == 0:
            side = UP
        else:
            continue
        fired[s] |= side
        out_row[found] = i
        out_side[found] = side
        out_move[found] = move
        out_threshold[found] = limit if side == UP else -limit
        found += 1
    return found
