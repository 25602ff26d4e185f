"""Which window of a symbol each tick belongs to, for all signals at once."""

from __future__ import annotations

from operators.kernels.compiling import kernel

NEVER = 9_223_372_036_854_775_807
FREE = -1
"""``win_partition`` of a place that holds no open window."""
CROWDED = -1
"""What `place` returns where a symbol has more open windows than its ring holds: rows that come in
the order of event time leave one."""


ROWS = "Tuple((i4[::1], i4[::1], i8[::1], i8[::1], b1[::1]))"
"""partition, slot, watermark, event time, and whether the row is chosen; by row of the block."""
WINDOWS = "Tuple((i4[::1], i4[::1], i8[::1], i4[:, ::1], i8[::1], i8[::1], i4[::1]))"
"""slot, partition and start by place; ``ring`` int32[slots, 2^k], which finds them; ``next_end``
int64[partitions]; ``recent_start`` int64 and ``recent`` int32 [slots], the last one found."""
PLACES = "Tuple((i8[::1], i4[::1]))"
"""``tally`` int64[2] (how many places are free, how many were ever used) and the ``free`` ones."""
OUT = "Tuple((i8[::1], i8[::1], i4[::1]))"
"""The closed: the row whose event time closed each, and its place; and the place of each row."""


@kernel(f"i8(i8, i8, {ROWS}, {WINDOWS}, i8, {OUT}, i8)")
def _close(row, interval_ns, rows, windows, high, out, found):
    """Close a partition's windows that end at or before its watermark; return how many are."""
    partitions, _, watermark, _, _ = rows
    win_slot, win_partition, win_start, ring, next_end, _, _ = windows
    closed_row, closed, _ = out
    partition = partitions[row]
    soonest = NEVER
    mask = ring.shape[1] - 1
    for w in range(high):
        if win_partition[w] != partition:
            continue
        end = win_start[w] + interval_ns
        if end > watermark[row]:
            soonest = min(soonest, end)
            continue
        win_partition[w] = FREE
        ring[win_slot[w], (win_start[w] // interval_ns) & mask] = -1
        closed_row[found] = row
        closed[found] = w
        found += 1
    next_end[partition] = soonest
    return found


@kernel(f"i8(i8, {ROWS}, {WINDOWS}, {PLACES}, {OUT})")
def place(interval_ns, rows, windows, spare, out):
    """Give each chosen row the place of its window, -1 where that has closed; return the closed.

    A window's place is an index that stays the same while it is open and is not given away again
    within the block, so that whoever keeps columns by place can read them afterwards. Returns how
    many have closed, or CROWDED.
    """
    partition, slot, watermark, ts_ns, chosen = rows
    win_slot, win_partition, win_start, ring, next_end, recent_start, recent = windows
    tally, free = spare
    places = out[2]
    found = 0
    mask = ring.shape[1] - 1
    for i in range(len(ts_ns)):
        p = partition[i]
        if watermark[i] >= next_end[p]:
            found = _close(i, interval_ns, rows, windows, tally[1], out, found)
        places[i] = -1
        if not chosen[i]:
            continue
        t = ts_ns[i]
        s = slot[i]
        # Most ticks fall into the window of the symbol's tick before: two comparisons then stand
        # for a division and a look into the ring.
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
