"""Moves beyond the last forecast, tick by tick."""

from __future__ import annotations

from operators.kernels.compiling import kernel

DOWN, UP = 1, 2


ROWS = "Tuple((i4[::1], b1[::1], f8[::1]))"
"""slot, whether it is a trade that counts, price; by row of the block."""
FORECASTS = "Tuple((i8[::1], i4[::1], f8[::1], f8[::1]))"
"""The row from which each holds, its slot, reference price and threshold (negative: not valid)."""
SYMBOLS = "Tuple((f8[::1], f8[::1], u1[::1]))"
"""The state by slot: reference price, threshold, and ``fired`` (bits DOWN, UP)."""
OUT = "Tuple((i8[::1], u1[::1], f8[::1], f8[::1]))"
"""The breaches: row, side, move (simple return) and threshold."""


@kernel(f"i8({ROWS}, {FORECASTS}, {SYMBOLS}, {OUT})")
def breaches(rows, forecasts, symbols, out):
    """Find the trades whose move from the reference price exceeds the forecast threshold.

    A forecast replaces its slot's reference price and threshold before its row is judged, and
    re-arms ``fired``: a side fires once between forecasts. Returns how many were found.
    """
    slot, counts, price = rows
    at_row, forecast_slot, forecast_price, forecast_threshold = forecasts
    reference, threshold, fired = symbols
    out_row, out_side, out_move, out_threshold = out
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
        if reference[s] <= 0.0 or limit < 0.0:
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
