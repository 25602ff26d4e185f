"""Ids and codes for strings, from an open-addressing hash table."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

import numpy as np
from numba import types

from connectors.market.kernels.compiling import TABLE, inner, kernel, read_only
from connectors.market.kernels.words import U64


@inner
def intern(table, w0, w1, w2, w3):
    """Return the id, new if need be, of a string: its bytes as four words, filled with zeros."""
    slots, words, _local, _used, counts = table
    mask = U64(len(slots) - 1)
    x = (w0 ^ (w1 * U64(0x9E3779B97F4A7C15)) ^ (w2 * U64(0xC2B2AE3D27D4EB4F))) + w3
    x = (x ^ (x >> U64(32))) * U64(0xD6E8FEB86659FD93)
    x ^= x >> U64(32)
    place = np.int64(x & mask)
    while True:
        e = slots[place]
        if e < 0:
            break
        if words[e, 0] == w0 and words[e, 1] == w1 and words[e, 2] == w2 and words[e, 3] == w3:
            return np.int64(e)
        place = (place + 1) & (len(slots) - 1)
    e = counts[0]
    counts[0] += 1
    slots[place] = e
    words[e, 0] = w0
    words[e, 1] = w1
    words[e, 2] = w2
    words[e, 3] = w3
    return e


@inner
def local_code(table, which, e):
    """Return the block's code of string ``e`` among its symbols, venues or conditions."""
    _slots, _words, local, used, counts = table
    code = local[which, e]
    if code < 0:
        code = np.int32(counts[1 + which])
        counts[1 + which] += 1
        used[which, code] = e
        local[which, e] = code
    return code


@kernel(types.int64(TABLE, read_only(types.uint64)))
def intern_words(table, words):
    """Return the id of one string, given as its bytes in four words; the table has room for it."""
    return intern(table, words[0], words[1], words[2], words[3])


@kernel(types.void(TABLE, read_only(types.uint64, 2)))
def intern_all(table, words):
    """Give the strings ``words`` uint64[n, 4] the ids 0, 1, ... in an empty table."""
    for e in range(len(words)):
        intern(table, words[e, 0], words[e, 1], words[e, 2], words[e, 3])
