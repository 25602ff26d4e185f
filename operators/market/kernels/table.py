"""An open-addressing hash table from int64 keys to int32 indices."""

from __future__ import annotations

from numba import njit

EMPTY = -1


@njit("i8(i8)", cache=True, nogil=True)
def _mix(key):
    # splitmix64's finaliser: neighbouring keys (slot, venue) must not cluster.
    x = key * -7046029254386353131
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


@njit("i8(i8[::1], i8)", cache=True, nogil=True)
def place_of(keys, key):
    """Return where ``key`` is or belongs; the length of ``keys`` is a power of two."""
    mask = len(keys) - 1
    place = _mix(key) & mask
    while keys[place] != EMPTY and keys[place] != key:
        place = (place + 1) & mask
    return place


@njit("void(i8[::1], i4[::1], i8[::1], i8)", cache=True, nogil=True)
def rebuild(keys, values, entry_key, count):
    """Fill an empty table so that ``entry_key[i]`` leads to i, for i < count."""
    for i in range(count):
        place = place_of(keys, entry_key[i])
        keys[place] = entry_key[i]
        values[place] = i
