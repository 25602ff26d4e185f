"""JSON numbers: digits eight at a time, and doubles where one operation rounds them right."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

import numpy as np

from connectors.market.kernels.compiling import inner
from connectors.market.kernels.words import HIGHS, U64, ZERO, bytes_below, word_at

_ZEROS = U64(0x3030303030303030)
_NINES = U64(0x7676767676767676)  # 0x80 - 10: a byte of 10 or more reaches the high bit
_SEVENS = U64(0x7F7F7F7F7F7F7F7F)
_TEN = U64(10)
_POW10 = np.array([10.0**e for e in range(23)])
_POW10_INT = np.array([10**e for e in range(9)], dtype=np.uint64)
_EXACT = U64(2**53)


@inner
def _digits(data, at):
    """Return (value, count) of the digits from ``at`` on; a count above 19 has no valid value."""
    value = ZERO
    count = 0
    while count <= 19:
        word = word_at(data, at + count)
        x = word ^ _ZEROS  # digits become 0..9
        others = (((x & _SEVENS) + _NINES) | x) & HIGHS
        k = bytes_below(others)
        if k == 0:
            break
        # Shift the digits to the top: the zeros that follow below read as leading zeros.
        x = x << U64(8 * (8 - k))
        x = (x * _TEN + (x >> U64(8))) & U64(0x00FF00FF00FF00FF)
        x = (x * U64(100) + (x >> U64(16))) & U64(0x0000FFFF0000FFFF)
        x = (x * U64(10_000) + (x >> U64(32))) & U64(0x00000000FFFFFFFF)
        value = value * _POW10_INT[k] + x
        count += k
        if k < 8:
            break
    return value, count


@inner
def read_integer(data, at):
    """Return (value, index behind it) of a JSON integer in 0..2**63-1; index -1 if unsure."""
    value, count = _digits(data, at)
    if count == 0 or count > 19 or value >> U64(63) != ZERO:
        return 0, -1
    if count > 1 and data[at] == 0x30:
        return 0, -1
    return np.int64(value), at + count


@inner
def read_number(data, at):
    """Return (value, index behind it) of a JSON number; index -1 if unsure.

    Sure only where one correctly rounded operation on two exact doubles gives it: mantissa up to
    2**53, power of ten up to 22 (Clinger, "How to read floating point numbers
    accurately", PLDI 1990).
    """
    mantissa, count = _digits(data, at)
    if count == 0 or count > 19 or (count > 1 and data[at] == 0x30):
        return 0.0, -1
    at += count
    exponent = 0
    if at < len(data) and data[at] == 0x2E:
        fraction, places = _digits(data, at + 1)
        if places == 0 or count + places > 19:
            return 0.0, -1
        for _ in range(places):
            mantissa *= _TEN
        mantissa += fraction
        at += 1 + places
        exponent = -places
    if at < len(data) and (data[at] | 0x20) == 0x65:
        at += 1
        negative = at < len(data) and data[at] == 0x2D
        if at < len(data) and (negative or data[at] == 0x2B):
            at += 1
        power, places = _digits(data, at)
        if places == 0 or places > 2:
            return 0.0, -1
        at += places
        exponent += -np.int64(power) if negative else np.int64(power)
    if mantissa > _EXACT or exponent < -22 or exponent > 22:
        return 0.0, -1
    if exponent < 0:
        return np.float64(mantissa) / _POW10[-exponent], at
    return np.float64(mantissa) * _POW10[exponent], at
