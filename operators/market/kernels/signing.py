"""The mid price in force at each tick, and who was the aggressor of each trade."""

from __future__ import annotations

from operators.kernels.compiling import kernel

ROWS = "Tuple((b1[::1], b1[::1], i4[::1], u1[::1], f8[::1], f8[:, ::1]))"
"""Whether it is a quote, or a trade; slot, side, price, best float64[n, 4]; by row of the block."""
SYMBOLS = "Tuple((f8[::1], f8[::1], i1[::1]))"
"""The state by slot: last mid, last price of a trade, direction of its last change."""
OUT = "Tuple((f8[::1], i1[::1]))"
"""Mid and sign, by row."""


@kernel(f"void({ROWS}, {SYMBOLS}, {OUT})")
def classify(rows, symbols, out):
    """Fill the mid (0 where a side is absent) of each tick and the sign of each trade.

    The sign is 1 for a buyer, -1 for a seller, 0 where nobody can say: the feed's ``side`` (1 buy,
    2 sell) where it is given; otherwise above the mid a buyer, below it a seller, and at the mid or
    without one the direction of the last change of the trades' price (Lee and Ready, "Inferring
    trade direction from intraday data", Journal of Finance 46, 1991, without their five seconds
    of delay, which the clocks of that time needed).
    """
    quotes, trades, slot, side, price, best = rows
    last_mid, last_price, last_move = symbols
    mid, sign = out
    for i in range(len(slot)):
        s = slot[i]
        if quotes[i]:
            if best[i, 0] > 0.0 and best[i, 2] > 0.0:
                last_mid[s] = 0.5 * (best[i, 0] + best[i, 2])
            else:
                last_mid[s] = 0.0
            mid[i] = last_mid[s]
        elif trades[i]:
            p = price[i]
            m = last_mid[s]
            mid[i] = m
            if last_price[s] > 0.0 and p != last_price[s]:
                last_move[s] = 1 if p > last_price[s] else -1
            last_price[s] = p
            if side[i] == 1:
                sign[i] = 1
            elif side[i] == 2:
                sign[i] = -1
            elif m > 0.0 and p != m:
                sign[i] = 1 if p > m else -1
            else:
                sign[i] = last_move[s]
