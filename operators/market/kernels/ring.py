"""The last returns of a series, by slot.

``ring`` float64[size] holds them; ``cursor`` int64[2] says which slot the next one takes and how
many are held. What stands in other slots is never read.
"""

from __future__ import annotations

from numba import njit

NEXT, COUNT = 0, 1


@njit("void(f8[::1], i8[::1], f8)", cache=True, nogil=True)
def remember(ring, cursor, value):
    """Put a value into the ring, in the oldest one's place where it is full."""
    slot = cursor[NEXT]
    ring[slot] = value
    cursor[NEXT] = slot + 1 if slot + 1 < len(ring) else 0
    if cursor[COUNT] < len(ring):
        cursor[COUNT] += 1


@njit("f8(f8[::1], i8[::1], i8)", cache=True, nogil=True)
def recalled(ring, cursor, place):
    """Return a value by its place in time, 0 the oldest."""
    slot = cursor[NEXT] - cursor[COUNT] + place
    return ring[slot if slot >= 0 else slot + len(ring)]
