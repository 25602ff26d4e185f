"""Which window of a symbol each tick belongs to, for all signals at once."""

from __future__ import annotations

from numba import njit

NEVER = 9_223_372_036_854_775_807
FREE = -1
"""``win_partition`` of a place that holds no open window."""
CROWDED = -1
"""What `place` returns where a symbol has more open windows than its ring holds."""


@njit(
    "i8(i8, i4, i8, i8, i4[::1], i4[::1], i8[::1], i4[:, ::1], i8[::1], i8, i8[::1], i8[::1], i8)",
    cache=True,
    nogil=True,
)
def _close(
    row, partition, interval_ns, watermark, win_slot, win_partition, win_start, ring, next_end,
    high, closed_row, closed, found,
):  # fmt: skip
    """Close the windows of ``partition`` that end at or before its watermark; return how many."""
    soonest = NEVER
    mask = ring.shape[1] - 1
    for w in range(high):
        if win_partition[w] != partition:
            continue
        end = win_start[w] + interval_ns
        if end > watermark:
            soonest = min(soonest, end)
            continue
        win_partition[w] = FREE
        ring[win_slot[w], (win_start[w] // interval_ns) & mask] = -1
        closed_row[found] = row
        closed[found] = w
        found += 1
    next_end[partition] = soonest
    return found


@njit(
    "i8(i8, i4[::1], i4[::1], i8[::1], i8[::1], b1[::1], i4[::1], i4[::1], i8[::1], i4[:, ::1], "
    "i8[::1], i8[::1], i4[::1], i8[::1], i4[::1], i8[::1], i8[::1], i4[::1])",
    cache=True,
    nogil=True,
)
def place(
    interval_ns, partition, slot, watermark, ts_ns, chosen, win_slot, win_partition, win_start,
    ring, next_end, recent_start, recent, tally, free, closed_row, closed, places,
):  # fmt: skip
    """Give each chosen row the place of its window, -1 where that has closed; return the closed.

    A window's place is an index that stays the same while it is open and is not given away again
    within the block, so that whoever keeps columns by place can read them afterwards.
    ``win_slot``, ``win_partition`` int32 and ``win_start`` int64 are by place; ``ring``
    int32[slots, 2^k] finds them, ``recent_start`` int64 and ``recent`` int32 [slots] remember the
    last one found. ``tally`` int64[2] is the number of ``free`` places and of places ever used.
    The k closed go to ``closed_row`` (the row whose event time closed them) and ``closed``.
    Returns k, or CROWDED.
    """
    found = 0
    mask = ring.shape[1] - 1
    for i in range(len(ts_ns)):
        p = partition[i]
        if watermark[i] >= next_end[p]:
            found = _close(
                i, p, interval_ns, watermark[i], win_slot, win_partition, win_start, ring, next_end,
                tally[1], closed_row, closed, found,
            )  # fmt: skip
        places[i] = -1
        if not chosen[i]:
            continue
        t = ts_ns[i]
        s = slot[i]
        start = recent_start[s]
        if t < start or t - start >= interval_ns:
            start = t - t % interval_ns
            if start + interval_ns <= watermark[i]:
                continue
            cell = (start // interval_ns) & mask
            w = ring[s, cell]
            if w >= 0 and win_start[w] != start:
                return CROWDED
            if w < 0:
                if tally[0] > 0:
                    tally[0] -= 1
                    w = free[tally[0]]
                else:
                    w = tally[1]
                    tally[1] += 1
                ring[s, cell] = w
                win_slot[w] = s
                win_partition[w] = p
                win_start[w] = start
                next_end[p] = min(next_end[p], start + interval_ns)
            recent_start[s] = start
            recent[s] = w
        elif start + interval_ns <= watermark[i]:
            continue
        places[i] = recent[s]
    return found
