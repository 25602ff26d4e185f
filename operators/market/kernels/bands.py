"""Limit Up-Limit Down: reference price, price bands, limit states and pauses of one symbol.

What is kept of a symbol is one row of ``whole`` int64[slots, 13] and ``real`` float64[slots, 8], by
the columns below, and of ``sums`` float64[slots, 10] and ``counts`` int64[slots, 10]: the prices
and the number of its trades in the last ten buckets of 30 s, bucket b in column b % 10. The rules
are those of operators.market.luld.
"""

from __future__ import annotations

import numpy as np
from numba import njit

OPEN, LIMIT_UP, LIMIT_DOWN, PAUSED = 0, 1, 2, 3

LAST, PARTITION, TIER, STATE, DEADLINE, BUCKET, PHASE, WIDER, DUE = range(9)
CHANGED, CHANGES, SAID_STATE, TRADES = range(9, 13)
"""Of ``whole``. Times in ns: ``LAST`` the newest tick, ``DEADLINE`` the end of a limit state or a
pause, ``PHASE`` the next border of the session, ``DUE`` when the next thing happens without a tick,
``CHANGED`` the last change, which was number ``CHANGES`` at that time. ``BUCKET`` is the number of
the bucket that trades join, ``TRADES`` how many all buckets hold, ``WIDER`` what the bands' width
is multiplied by (0: no session). ``SAID_STATE`` was emitted last."""

BID, ASK, REFERENCE, LOWER, UPPER, SAID = range(6)
"""Of ``real``; 0 where there is none. From ``SAID`` on: the three before it, as emitted last."""

NEVER = 9_223_372_036_854_775_807
UNUSED = -(1 << 62)

BUCKETS = 10
BUCKET_NS = 30_000_000_000
LIMIT_NS = 15_000_000_000
PAUSE_NS = 300_000_000_000
OPENING_NS = 900_000_000_000
CLOSING_NS = 1_500_000_000_000


@njit("i8(i8[::1], i8[::1], i8, i8[::1])", cache=True, nogil=True)
def enter_phase(open_ns, close_ns, now, row):
    """Set WIDER and PHASE of one symbol's ``row`` of whole numbers for the time ``now``.

    ``open_ns`` and ``close_ns`` int64[sessions], ascending; none at all means one endless session
    without wider bands. Returns WIDER.
    """
    row[WIDER] = 1
    row[PHASE] = NEVER
    if len(open_ns) == 0:
        return 1
    low, high = 0, len(close_ns)  # the first session that has not closed
    while low < high:
        middle = (low + high) // 2
        if close_ns[middle] <= now:
            low = middle + 1
        else:
            high = middle
    if low == len(close_ns):
        row[WIDER] = 0
    elif now < open_ns[low]:
        row[WIDER] = 0
        row[PHASE] = open_ns[low]
    elif now >= close_ns[low] - CLOSING_NS:
        row[WIDER] = 2
        row[PHASE] = close_ns[low]
    elif now < open_ns[low] + OPENING_NS:
        row[WIDER] = 2
        row[PHASE] = min(open_ns[low] + OPENING_NS, close_ns[low] - CLOSING_NS)
    else:
        row[PHASE] = close_ns[low] - CLOSING_NS
    return row[WIDER]


@njit("f8(f8, i8)", cache=True, nogil=True)
def band_width(reference, tier):
    """Return how far the bands lie from ``reference`` (in its currency), not doubled."""
    if reference > 3.0:
        return reference * (0.05 if tier == 1 else 0.10)
    if reference >= 0.75:
        return reference * 0.20
    return min(0.15, reference * 0.75)


@njit("f8(f8)", cache=True, nogil=True)
def to_cents(price):
    """Return the price rounded to the nearest cent, halves up."""
    return np.floor(price * 100.0 + 0.5) / 100.0


@njit("void(i8[::1], f8[::1], f8)", cache=True, nogil=True)
def set_reference(row, prices, reference):
    """Set the reference price and the bands around it."""
    width = band_width(reference, row[TIER]) * row[WIDER]
    prices[REFERENCE] = reference
    prices[LOWER] = to_cents(max(reference - width, 0.0))
    prices[UPPER] = to_cents(reference + width)


@njit("i8(f8[::1])", cache=True, nogil=True)
def _touched(prices):
    """Return which band the best bid or ask has reached, as a state."""
    if prices[REFERENCE] == 0.0:
        return OPEN
    if 0.0 < prices[UPPER] <= prices[BID]:
        return LIMIT_UP
    if 0.0 < prices[ASK] <= prices[LOWER]:
        return LIMIT_DOWN
    return OPEN


@njit("void(i8[::1], f8[::1], i8)", cache=True, nogil=True)
def settle(row, prices, now):
    """Enter or leave a limit state as the best prices and the bands say."""
    if row[STATE] == PAUSED:
        return
    touched = _touched(prices)
    if touched == OPEN and row[STATE] != OPEN:
        # The bands stood still in the limit state; they may have to be wider or narrower now.
        set_reference(row, prices, prices[REFERENCE])
        touched = _touched(prices)
    if touched != row[STATE]:
        row[STATE] = touched
        row[DEADLINE] = NEVER if touched == OPEN else now + LIMIT_NS


@njit("void(i8[::1], f8[::1], i8[::1])", cache=True, nogil=True)
def forget_trades(row, sums, counts):
    """Empty the buckets."""
    row[TRADES] = 0
    sums[:] = 0.0
    counts[:] = 0


@njit("void(i8[::1], f8[::1], f8[::1], i8[::1])", cache=True, nogil=True)
def start_afresh(row, prices, sums, counts):
    """Forget the reference price, its trades and the state."""
    row[STATE] = OPEN
    row[DEADLINE] = NEVER
    prices[REFERENCE:SAID] = 0.0
    forget_trades(row, sums, counts)


@njit("void(i8[::1], f8[::1], f8[::1], i8[::1])", cache=True, nogil=True)
def next_bucket(row, prices, sums, counts):
    """Take the mean of the last ten buckets as reference if it has moved; begin the next."""
    if row[STATE] == OPEN:
        total = 0.0
        for back in range(BUCKETS, 0, -1):  # oldest first, whatever the column
            total += sums[(row[BUCKET] + 1 - back) % BUCKETS]
        mean = total / row[TRADES]
        if abs(mean - prices[REFERENCE]) >= 0.01 * prices[REFERENCE]:
            set_reference(row, prices, mean)
    row[BUCKET] += 1
    column = row[BUCKET] % BUCKETS
    row[TRADES] -= counts[column]
    sums[column] = 0.0
    counts[column] = 0


@njit("void(i8[::1], f8[::1], i8)", cache=True, nogil=True)
def set_due(row, prices, ttl_ns):
    """Set when the next thing happens to a symbol without a tick of its own."""
    row[DUE] = NEVER
    if prices[REFERENCE] > 0.0:
        row[DUE] = min(row[PHASE], row[DEADLINE], row[LAST] + ttl_ns + 1)
        if row[TRADES] > 0:
            row[DUE] = min(row[DUE], (row[BUCKET] + 1) * BUCKET_NS)


@njit("b1(i8[::1], i8[::1], i8[::1], f8[::1], f8[::1], i8[::1], f8, i8)", cache=True, nogil=True)
def count_trade(open_ns, close_ns, row, prices, sums, counts, price, now):
    """Let one trade count; the first one is the reference price itself.

    Returns whether there is more to do: a bucket or a reference price that was not there.
    """
    if now >= row[PHASE]:
        enter_phase(open_ns, close_ns, now, row)
    if row[WIDER] == 0 or row[STATE] == PAUSED:
        return False
    first = row[TRADES] == 0
    if first:
        row[BUCKET] = now // BUCKET_NS
    if prices[REFERENCE] == 0.0:
        set_reference(row, prices, price)
    row[TRADES] += 1
    sums[row[BUCKET] % BUCKETS] += price
    counts[row[BUCKET] % BUCKETS] += 1
    return first


@njit("b1(i8[::1], f8[::1], f8, f8)", cache=True, nogil=True)
def set_best(row, prices, bid, ask):
    """Set the best bid and ask; return whether there is more to do: a limit state to change."""
    prices[BID] = bid
    prices[ASK] = ask
    return row[STATE] != PAUSED and _touched(prices) != row[STATE]
