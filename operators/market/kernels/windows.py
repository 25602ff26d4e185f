"""Windows in event time, closed by the watermark."""

from __future__ import annotations

from operators.kernels.compiling import inlined, kernel

NEVER = 9_223_372_036_854_775_807
NONE = -1
"""No window: it has closed, or its cell of the ring is empty."""
OPEN, CLOSED, RECENT = 0, 1, 2
"""Places of ``tally`` int64[3]: how many windows are open, how many this block has closed, and
between which borders the last row fell."""
START, FIRST, LAST, TICKS, END, NUMBER = 0, 1, 2, 3, 4, 5
"""Columns of ``whole``: of the window, its first and last event time, how many ticks it has taken
in, and its number among all windows of the interval."""

ALIGNED = "Tuple((i8, i8[::1], i8[::1]))"
"""The interval, where windows begin anew, and the number of the first one there; of an
`operators.market.alignment.Alignment`."""

ROWS = "Tuple((i4[::1], i4[::1], i8[::1], i8[::1]))"
"""partition, slot, watermark, event time; by row of the block."""
WINDOWS = "Tuple((i4[::1], i4[::1], i8[:, ::1], f8[:, ::1], i4[:, ::1], i8[::1], i8[::1]))"
"""The open windows: slot, partition, whole int64[., 6], real float64[., 6]; ``ring`` int32[slots,
depth] finds them, ``next_end`` int64[partitions] is when the first of a partition's ends, and
``tally``."""
OUT = "Tuple((i8[:, ::1], f8[:, ::1]))"
"""The closed windows: int64[k, 6] (row, partition, slot, start, ticks, end) and float64[k, 6]."""


@kernel(f"void(i8, {ROWS}, {WINDOWS}, {OUT})")
def _close(row, rows, windows, out):
    """Emit and drop the windows of a row's partition that end at or before its watermark."""
    partitions, _, watermark, _ = rows
    win_slot, win_partition, whole, real, ring, next_end, tally = windows
    out_whole, out_real = out
    partition, now = partitions[row], watermark[row]
    soonest = NEVER
    depth = ring.shape[1]
    count, closed = tally[OPEN], tally[CLOSED]
    w = 0
    while w < count:
        if win_partition[w] != partition:
            w += 1
            continue
        if whole[w, END] > now:
            soonest = min(soonest, whole[w, END])
            w += 1
            continue
        out_whole[closed, 0] = row
        out_whole[closed, 1] = partition
        out_whole[closed, 2] = win_slot[w]
        out_whole[closed, 3] = whole[w, START]
        out_whole[closed, 4] = whole[w, TICKS]
        out_whole[closed, 5] = whole[w, END]
        for k in range(6):
            out_real[closed, k] = real[w, k]
        closed += 1
        ring[win_slot[w], whole[w, NUMBER] % depth] = NONE
        count -= 1
        # The last window takes the place of the closed one, so that the open ones stay together:
        # a scan meets no holes. Their order does not matter, for what closes is sorted by name.
        # ``w`` stays, since the window that has moved there was not looked at yet.
        if w < count:
            win_slot[w] = win_slot[count]
            win_partition[w] = win_partition[count]
            for k in range(6):
                whole[w, k] = whole[count, k]
            for k in range(6):
                real[w, k] = real[count, k]
            ring[win_slot[w], whole[w, NUMBER] % depth] = w
    next_end[partition] = soonest
    tally[OPEN], tally[CLOSED] = count, closed


@kernel("i8(i8, i8[::1], i8)")
def _part(ts_ns, begins, recent):
    """Return between which borders a time is: the last of ``begins`` that is not behind it."""
    if begins[recent] <= ts_ns < begins[recent + 1]:
        return recent
    low, high = 0, len(begins) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if begins[middle] <= ts_ns:
            low = middle
        else:
            high = middle
    return low


@inlined  # `aggregate` and `sample` stay single loops, as if it were written in each
def _window(i, aligned, rows, windows):
    """Return the window of a row, NONE where that has closed; one without ticks is new."""
    interval_ns, begins, firsts = aligned
    partition, slot, watermark, ts_ns = rows
    win_slot, win_partition, whole, _, ring, next_end, tally = windows
    part = _part(ts_ns[i], begins, tally[RECENT])
    tally[RECENT] = part
    behind = (ts_ns[i] - begins[part]) // interval_ns
    start = begins[part] + behind * interval_ns
    end = min(start + interval_ns, begins[part + 1])
    if end <= watermark[i]:
        return NONE
    # The ring is as deep as there can be windows of a symbol open at once, so no two of them share
    # a cell: a lookup is one division, and nothing is hashed or searched.
    number = firsts[part] + behind
    cell = number % ring.shape[1]
    w = ring[slot[i], cell]
    if w == NONE:
        w = tally[OPEN]
        tally[OPEN] += 1
        ring[slot[i], cell] = w
        win_slot[w] = slot[i]
        win_partition[w] = partition[i]
        whole[w, START] = start
        whole[w, FIRST] = ts_ns[i]
        whole[w, LAST] = ts_ns[i]
        whole[w, TICKS] = 0
        whole[w, END] = end
        whole[w, NUMBER] = number
        next_end[partition[i]] = min(next_end[partition[i]], end)
    return w


@kernel(
    f"void({ALIGNED}, {ROWS}, f8[::1], f8[::1], b1[::1], {WINDOWS}, {OUT}, b1[::1])",
)
def aggregate(aligned, rows, price, size, chosen, windows, out, placed):
    """Run the chosen rows as trades into the open windows of one interval, closing as time passes.

    ``real`` has open, high, low, close, volume, notional. A row closes what its watermark has
    passed *before* it is applied. ``placed`` bool[n] is set where a chosen row found its
    window open or new. ``tally`` tells how many are open then, and how many closed.
    """
    partition, _, watermark, ts_ns = rows
    _, _, whole, real, _, next_end, tally = windows
    tally[CLOSED] = 0
    for i in range(len(ts_ns)):
        if watermark[i] >= next_end[partition[i]]:
            _close(i, rows, windows, out)
        if not chosen[i]:
            continue
        w = _window(i, aligned, rows, windows)
        if w == NONE:
            continue
        placed[i] = True
        if whole[w, TICKS] == 0:
            real[w, 0:4] = price[i]
            real[w, 4:6] = 0.0
        # Ties at the first time keep the earlier row, ties at the last time take the later one.
        if ts_ns[i] < whole[w, FIRST]:
            whole[w, FIRST] = ts_ns[i]
            real[w, 0] = price[i]
        if ts_ns[i] >= whole[w, LAST]:
            whole[w, LAST] = ts_ns[i]
            real[w, 3] = price[i]
        whole[w, TICKS] += 1
        real[w, 1] = max(real[w, 1], price[i])
        real[w, 2] = min(real[w, 2], price[i])
        real[w, 4] += size[i]
        real[w, 5] += price[i] * size[i]


@kernel(f"void({ALIGNED}, {ROWS}, f8[:, ::1], b1[::1], {WINDOWS}, {OUT}, b1[::1])")
def sample(aligned, rows, values, chosen, windows, out, placed):
    """Keep the last of ``values`` float64[n, 4] of each window; rows come in order of event time.

    As `aggregate`; the values are columns 0 to 3 of ``real``, and the others 0.
    """
    partition, _, watermark, ts_ns = rows
    _, _, whole, real, _, next_end, tally = windows
    tally[CLOSED] = 0
    for i in range(len(ts_ns)):
        if watermark[i] >= next_end[partition[i]]:
            _close(i, rows, windows, out)
        if not chosen[i]:
            continue
        w = _window(i, aligned, rows, windows)
        if w == NONE:
            continue
        placed[i] = True
        if whole[w, TICKS] == 0:
            real[w, :] = 0.0
        whole[w, LAST] = ts_ns[i]
        for k in range(4):
            real[w, k] = values[i, k]
        whole[w, TICKS] += 1
