"""The event-time watermark of each input partition, moved record by record."""

from __future__ import annotations

from numba import njit


@njit("i8(i4[::1], i8[::1], b1[::1], i8, i8[::1], i8[::1], b1[::1])", cache=True, nogil=True)
def advance(partition, ts_ns, retried, lateness_ns, watermarks, after, late):
    """Judge each row late by its partition's watermark, then move it; return how many are late.

    ``watermarks`` int64[partitions] is the state; ``after`` int64[n] gets the watermark after
    each row, ``late`` bool[n] whether the row's event time was behind it. A late row does
    not move it, so for a late row ``after`` is also the watermark that judged it.
    """
    behind = 0
    for i in range(len(ts_ns)):
        p = partition[i]
        now = watermarks[p]
        late[i] = ts_ns[i] < now and not retried[i]
        behind += late[i]
        if ts_ns[i] - lateness_ns > now:
            now = ts_ns[i] - lateness_ns
            watermarks[p] = now
        after[i] = now
    return behind
