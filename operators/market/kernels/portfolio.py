"""Returns of a portfolio from those of its assets. Sums run in the order of ``columns``."""

from __future__ import annotations

from numba import njit


@njit("f8(f8[::1], i8[::1], f8[::1])", cache=True, nogil=True)
def weighted_sum(row, columns, weights):
    """Return sum w_i row[columns_i]."""
    total = 0.0
    for i in range(len(columns)):
        total += weights[i] * row[columns[i]]
    return total


@njit("void(f8[:, ::1], i8, i8, i8[::1], f8[::1], f8[::1])", cache=True, nogil=True)
def weighted_sums(ring, first, count, columns, weights, out):
    """Set ``out`` float64[count] to the weighted sum of each row of a ring, oldest first.

    The oldest row is ``ring[first]``, the others follow around its end. Each sum has the same bits
    as `weighted_sum` of that row.
    """
    capacity = ring.shape[0]
    for k in range(count):
        row = (first + k) % capacity
        total = 0.0
        for i in range(len(columns)):
            total += weights[i] * ring[row, columns[i]]
        out[k] = total
