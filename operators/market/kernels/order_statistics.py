"""A window of returns that is kept in ascending order, and the tails that are read off it.

``ring`` and ``cursor`` are those of kernels/ring.py; ``order`` int32[window] lists the slots by
ascending return, of equal returns the oldest first: the order of a stable sort by time.
"""

from __future__ import annotations

from numba import njit

from operators.market.kernels.ring import COUNT, NEXT, remember

REACHED = 1e-12
"""How far cumulated weights may fall short of a probability and count as having reached it."""


@njit("i8(f8[::1], i4[::1], i8, f8)", cache=True, nogil=True)
def _count_below(ring, order, count, value):
    """Return how many of the ordered returns are less than ``value``."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ring[order[middle]] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit("i8(f8[::1], i4[::1], i8, f8)", cache=True, nogil=True)
def _count_up_to(ring, order, count, value):
    """Return how many of the ordered returns are at most ``value``."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ring[order[middle]] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@njit("void(f8[::1], i4[::1], i8[::1], f8)", cache=True, nogil=True)
def insert(ring, order, cursor, value):
    """Put one finite return into the window, in the oldest one's place where it is full."""
    value += 0.0  # -0.0 would be another byte in a record, and equal in every comparison
    slot = cursor[NEXT]
    count = cursor[COUNT]
    gap = count
    if count == len(ring):
        gap = _count_below(ring, order, count, ring[slot])  # of its equals the oldest is first
    place = _count_up_to(ring, order, count, value)
    if place > gap:
        place -= 1
        for i in range(gap, place):
            order[i] = order[i + 1]
    else:
        for i in range(gap, place, -1):
            order[i] = order[i - 1]
    order[place] = slot
    remember(ring, cursor, value)


@njit("i8(i8, f8)", cache=True, nogil=True)
def tail_index(count, confidence):
    """Return the place of VaR among ``count`` > 0 ascending returns: ⌊n(1 - c)⌋, zero-based."""
    # 1 - c is rounded: without the excess the place of 10 returns at 0.9 would be 0, not 1.
    return min(int(count * (1.0 - confidence) + 1e-9), count - 1)


@njit("UniTuple(f8, 2)(f8[::1], i4[::1], i8[::1], f8)", cache=True, nogil=True)
def tail(ring, order, cursor, confidence):
    """Return (VaR, ES) of a window that is not empty.

    VaR is minus the ordered return at `tail_index`, ES minus the mean of those up to and including
    it, summed as what lies beyond VaR, so that ES is never below VaR by rounding.
    """
    last = tail_index(cursor[COUNT], confidence)
    quantile = ring[order[last]]
    beyond = 0.0
    for i in range(last):
        beyond += quantile - ring[order[i]]
    value_at_risk = 0.0 - quantile
    return value_at_risk, value_at_risk + beyond / (last + 1)


@njit("void(f8, f8[::1])", cache=True, nogil=True)
def fill_powers(base, powers):
    """Fill ``powers`` with base⁰, base¹, ...: products, the same on every machine."""
    power = 1.0
    for i in range(len(powers)):
        powers[i] = power
        power *= base


@njit("UniTuple(f8, 2)(f8[::1], i4[::1], i8[::1], f8[::1], f8)", cache=True, nogil=True)
def age_weighted_tail(ring, order, cursor, powers, probability):
    """Return (VaR, ES) where the return of age i (0 the newest) has a weight ∝ ``powers[i]``.

    VaR is minus the first ascending return at which the cumulated weight reaches ``probability``
    (to within ``REACHED``); ES is minus the weighted mean of the returns up to and including
    it. ``powers`` float64[window + 1] are those of the decay.
    """
    count = cursor[COUNT]
    newest = cursor[NEXT] - 1
    enough = (probability - REACHED) * ((1.0 - powers[count]) / (1.0 - powers[1]))
    reached = 0.0
    last = -1
    while reached < enough and last < count - 1:
        last += 1
        age = newest - order[last]
        reached += powers[age if age >= 0 else age + len(ring)]
    quantile = ring[order[last]]
    beyond = 0.0
    for i in range(last):
        age = newest - order[i]
        beyond += powers[age if age >= 0 else age + len(ring)] * (quantile - ring[order[i]])
    value_at_risk = 0.0 - quantile
    return value_at_risk, value_at_risk + beyond / reached
