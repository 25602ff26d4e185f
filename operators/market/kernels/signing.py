"""The mid price in force at each tick, and who was the aggressor of each trade."""

from __future__ import annotations

from numba import njit


@njit(
    "void(b1[::1], b1[::1], i4[::1], u1[::1], f8[::1], f8[:, ::1], f8[::1], f8[::1], i1[::1], "
    "f8[::1], i1[::1])",
    cache=True,
    nogil=True,
)
def classify(quotes, trades, slot, side, price, best, last_mid, last_price, last_move, mid, sign):
    """Fill ``mid`` float64[n] (0 where a side is absent) and ``sign`` int8[n] of each trade.

    The sign is 1 for a buyer, -1 for a seller, 0 where nobody can say: the feed's ``side`` (1 buy,
    2 sell) where it is given; otherwise above the mid a buyer, below it a seller, and at the mid or
    without one the direction of the last change of the trades' price (Lee and Ready, "Inferring
    trade direction from intraday data", Journal of Finance 46, 1991, without their five seconds
    of delay, which the clocks of that time needed). State by slot: ``last_mid``, ``last_price``
    float64, ``last_move`` int8.
    """
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
