"""Counter-based random numbers: a number is a function of its coordinates and of a key.

Philox-4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
section 4.3) turns a counter of four 32-bit words and a key of two into four random words. There
is no state, so numbers may be made in any order, by any thread, again or not at all.

Normals come in pairs from one block of four words (Box and Muller 1958), so each has a fixed
number of them. Logarithm, sine and cosine are series made of IEEE additions, multiplications and
divisions alone: LLVM can run several paths at a time, and no other machine's library rounds
them in its own way.

The helpers are inlined before numba makes machine code (``inline="always"``), since a loop that
calls them is not vectorised: it would be three times as slow. So they have no signatures; the
kernel around them has one, with ``error_model="numpy"``, without which a division is a branch.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

ROUNDS = 10
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEP_0, KEY_STEP_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)
_SPARE = np.uint64(12)
_ONE = np.uint64(0x3FF0000000000000)
"""The bits of 1.0; with 52 random bits below they are a number in [1, 2)."""
_MANTISSA = np.uint64(0x000FFFFFFFFFFFFF)
_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)
"""The bits of sqrt(1/2)."""

_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
"""The leading 32 bits of ln 2: its product with an exponent is exact."""
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
"""ln 2 less `_LN2_HIGH`."""
_ARTANH = tuple(2.0 / (2 * n + 1) for n in range(11))
_SIN = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(9))
_COS = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(10))
_QUARTER_TURN = math.pi / 2


@njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four random words of a counter under a key; all are uint64 below 2^32."""
    for _ in range(ROUNDS):
        left, right = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0 = (right >> _WORD) ^ c1 ^ k0
        c1 = right & _LOW
        c2 = (left >> _WORD) ^ c3 ^ k1
        c3 = left & _LOW
        k0 = (k0 + KEY_STEP_0) & _LOW
        k1 = (k1 + KEY_STEP_1) & _LOW
    return c0, c1, c2, c3


@njit(inline="always")
def open_uniform(word):
    """Return (k + 1/2) / 2^52 for the top 52 bits k of a uint64: never 0, never 1."""
    return np.uint64((word >> _SPARE) | _ONE).view(np.float64) - 1.0 + 2.0**-53


@njit(inline="always")
def natural_log(x):
    """Return ln x of a positive normal float64, to 1 unit in the last place.

    x = m 2^e with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh((m - 1) / (m + 1)) by its
    power series, of which the terms left out are below 2^-56 of the sum.
    """
    bits = np.uint64(np.float64(x).view(np.uint64) - _ROOT_HALF)
    e = np.float64(np.int64(bits) >> 52)
    m = np.uint64((bits & _MANTISSA) + _ROOT_HALF).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = _ARTANH[10]
    for n in range(9, 0, -1):
        series = series * z + _ARTANH[n]
    return e * _LN2_HIGH + (2.0 * s + (s * z * series + e * _LN2_LOW))


@njit(inline="always")
def sine(x):
    """Return sin x for |x| <= pi/4 by its power series, to 1 unit in the last place."""
    z = x * x
    series = _SIN[8]
    for n in range(7, 0, -1):
        series = series * z + _SIN[n]
    return x + x * z * series


@njit(inline="always")
def cosine(x):
    """Return cos x for |x| <= pi/4 by its power series, to 1 unit in the last place."""
    z = x * x
    series = _COS[9]
    for n in range(8, 1, -1):
        series = series * z + _COS[n]
    return 1.0 - (0.5 * z - z * z * series)


@njit(inline="always")
def normal_pair(c0, c1, c2, k0, k1):
    """Return the two independent standard normals of a counter (c0, c1, c2, 0) under a key.

    The radius is sqrt(-2 ln u). The angle lies within a quarter turn around 0, where the series
    hold; three spare bits of its word swap sine and cosine and choose the signs, which makes a
    whole turn of it.
    """
    w0, w1, w2, w3 = philox(c0, c1, c2, np.uint64(0), k0, k1)
    radius = math.sqrt(-2.0 * natural_log(open_uniform((w0 << _WORD) | w1)))
    word = (w2 << _WORD) | w3
    angle = (open_uniform(word) - 0.5) * _QUARTER_TURN
    s, c = radius * sine(angle), radius * cosine(angle)
    swap = (word & np.uint64(1)) != np.uint64(0)
    x, y = (s, c) if swap else (c, s)
    x = -x if (word & np.uint64(2)) != np.uint64(0) else x
    y = -y if (word & np.uint64(4)) != np.uint64(0) else y
    return x, y


@njit(inline="always")
def chi_squared_2(c0, c1, c2, k0, k1):
    """Return -2 ln u of a counter (c0, c1, c2, 0): chi-squared with two degrees of freedom."""
    w0, w1, _, _ = philox(c0, c1, c2, np.uint64(0), k0, k1)
    return -2.0 * natural_log(open_uniform((w0 << _WORD) | w1))
