"""Moments of a sliding window in O(1), without drift.

``sums`` float64[9], zeros at first, holds a shift and four sums over the window of (r - shift)ᵖ,
p = 1 to 4, each as a high and a low part. A return leaves by subtracting the very numbers that it
added, and the two parts hold about 106 bits, so nothing of it stays behind (Knuth, The Art of
Computer Programming 2, 4.2.2, theorem B). What is left is the cancellation where the shift lies
far from the mean: then the sums are made again around the mean.
"""

from __future__ import annotations

import math

from numba import njit

from operators.market.kernels.ring import COUNT, NEXT, recalled, remember

FAR = 16.0
"""How many variances the squared distance between shift and mean may be: (4σ)² costs 4⁴ of the
kurtosis' 2⁵² in precision, and a series of one regime never gets there."""


@njit("void(f8[::1], i8, f8)", cache=True, nogil=True)
def _add(sums, place, term):
    high = sums[place]
    total = high + term
    part = total - high
    low = sums[place + 1] + ((high - (total - part)) + (term - part))
    sums[place] = total + low
    sums[place + 1] = low - (sums[place] - total)


@njit("void(f8[::1], f8, f8)", cache=True, nogil=True)
def _count_in(sums, ret, sign):
    """Add (sign 1) or subtract (sign -1) the powers of a return."""
    distance = ret - sums[0]
    square = distance * distance
    _add(sums, 1, sign * distance)
    _add(sums, 3, sign * square)
    _add(sums, 5, sign * (square * distance))
    _add(sums, 7, sign * (square * square))


@njit("void(f8[::1], i8[::1], f8[::1])", cache=True, nogil=True)
def _recentre(ring, cursor, sums):
    """Make the sums again around the mean, oldest first whatever the slots are."""
    count = cursor[COUNT]
    shift = sums[0] + sums[1] / count
    sums[:] = 0.0
    sums[0] = shift
    for i in range(count):
        _count_in(sums, recalled(ring, cursor, i), 1.0)


@njit("void(f8[::1], i8[::1], f8[::1], f8)", cache=True, nogil=True)
def push(ring, cursor, sums, ret):
    """Put one finite return into the ring (kernels/ring.py) and its powers into the sums."""
    if cursor[COUNT] == len(ring):
        _count_in(sums, ring[cursor[NEXT]], -1.0)
    elif cursor[COUNT] == 0:
        sums[0] = ret
    _count_in(sums, ret, 1.0)
    remember(ring, cursor, ret)
    mean = sums[1] / cursor[COUNT]
    if mean * mean > FAR * (sums[3] / cursor[COUNT] - mean * mean):
        _recentre(ring, cursor, sums)


@njit("void(f8[::1], i8[::1], f8[::1], f8[::1])", cache=True, nogil=True)
def push_all(ring, cursor, sums, returns):
    """Put returns into the window, oldest first."""
    for ret in returns:
        push(ring, cursor, sums, ret)


@njit("UniTuple(f8, 4)(i8, f8[::1])", cache=True, nogil=True)
def moments(count, sums):
    """Return (mean, standard deviation, skewness, excess kurtosis) of the window's population.

    All have the divisor n. Skewness and excess kurtosis of equal returns are 0.
    """
    first = sums[1] / count
    second, third, fourth = sums[3] / count, sums[5] / count, sums[7] / count
    mean = sums[0] + first
    square = first * first
    variance = second - square
    if variance <= 0.0:
        return mean, 0.0, 0.0, 0.0
    sigma = math.sqrt(variance)
    skewed = third - first * (3.0 * second - 2.0 * square)
    peaked = fourth - first * (4.0 * third - first * (6.0 * second - 3.0 * square))
    return mean, sigma, skewed / (variance * sigma), peaked / (variance * variance) - 3.0
