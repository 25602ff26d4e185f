"""From a block's symbol codes to state slots, and the age of each slot."""

from __future__ import annotations

from numba import njit

UNUSED = -(1 << 62)
"""``last_ns`` of a slot that no tick has reached yet."""


@njit("i8(i4[::1], i4[::1], i4[::1])", cache=True, nogil=True)
def owners(partition, symbol, owner):
    """Fill ``owner`` with the partition of each symbol; return how many rows disagree.

    A symbol lives in one partition, as long as the producer keys by symbol.
    """
    strays = 0
    for i in range(len(symbol)):
        s = symbol[i]
        if s >= 0:
            if owner[s] < 0:
                owner[s] = partition[i]
            elif owner[s] != partition[i]:
                strays += 1
    return strays


@njit(
    "i8(i8, i4[::1], i4[::1], i8[::1], i8[::1], b1[::1], i8, i8[::1], i4[::1])",
    cache=True,
    nogil=True,
)
def assign(begin, pair, slot_of, ts_ns, watermark, late, ttl_ns, last_ns, slot):
    """Give each row from ``begin`` on its slot; return the row whose slot has expired, else n.

    ``pair`` int32[n]: the row's (partition, symbol) pair, -1 in a heartbeat's row;
    ``slot_of`` int32[pairs]. A slot expires when the watermark has passed its last tick by
    more than ``ttl_ns``: whatever arrives then starts afresh. ``last_ns`` int64[slots] is
    moved by rows that are not late.
    """
    for i in range(begin, len(pair)):
        if pair[i] < 0:
            slot[i] = -1
            continue
        s = slot_of[pair[i]]
        if last_ns[s] == UNUSED:
            last_ns[s] = ts_ns[i]
        elif watermark[i] - last_ns[s] > ttl_ns:
            return i
        slot[i] = s
        if not late[i] and ts_ns[i] > last_ns[s]:
            last_ns[s] = ts_ns[i]
    return len(pair)
