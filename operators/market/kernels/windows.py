"""Windows in event time, closed by the watermark."""

from __future__ import annotations

from operators.kernels.compiling import inlined, kernel

NEVER = 9_223_372_036_854_775_807
NONE = -1
"""No window: it has closed, or its cell of the ring is empty."""
OPEN, CLOSED = 0, 1
"""Places of ``tally`` int64[2]: how many windows are open, and how many this block has closed."""

ROWS = "Tuple((i4[::1], i4[::1], i8[::1], i8[::1]))"
"""partition, slot, watermark, event time; by row of the block."""
WINDOWS = "Tuple((i4[::1], i4[::1], i8[:, ::1], f8[:, ::1], i4[:, ::1], i8[::1], i8[::1]))"
"""The open windows: slot, partition, whole int64[., 4] (start, first and last event time, ticks),
real float64[., 6]; ``ring`` int32[slots, depth] finds them, ``next_end`` int64[partitions] is when
the first of a partition's ends, and ``tally``."""
OUT = "Tuple((i8[:, ::1], f8[:, ::1]))"
"""The closed windows: int64[k, 5] (row, partition, slot, start, ticks) and float64[k, 6]."""


@kernel(f"void(i8, i8, {ROWS}, {WINDOWS}, {OUT})")
def _close(row, interval_ns, rows, windows, out):
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
        start = whole[w, 0]
        end = start + interval_ns
        if end > now:
            soonest = min(soonest, end)
            w += 1
            continue
        out_whole[closed, 0] = row
        out_whole[closed, 1] = partition
        out_whole[closed, 2] = win_slot[w]
        out_whole[closed, 3] = start
        out_whole[closed, 4] = whole[w, 3]
        for k in range(6):
            out_real[closed, k] = real[w, k]
        closed += 1
        ring[win_slot[w], (start // interval_ns) % depth] = NONE
        count -= 1
        # The last window takes the place of the closed one, so that the open ones stay together:
        # a scan meets no holes. Their order does not matter, for what closes is sorted by name.
        # ``w`` stays, since the window that has moved there was not looked at yet.
        if w < count:
            win_slot[w] = win_slot[count]
            win_partition[w] = win_partition[count]
            for k in range(4):
                whole[w, k] = whole[count, k]
            for k in range(6):
                real[w, k] = real[count, k]
            ring[win_slot[w], (whole[w, 0] // interval_ns) % depth] = w
    next_end[partition] = soonest
    tally[OPEN], tally[CLOSED] = count, closed


@inlined  # `aggregate` and `sample` stay single loops, as if it were written in each
def _window(i, interval_ns, rows, windows):
    """Return the window of a row, NONE where that has closed; one without ticks is new."""
    partition, slot, watermark, ts_ns = rows
    win_slot, win_partition, whole, _, ring, next_end, tally = windows
    start = ts_ns[i] - ts_ns[i] % interval_ns
    if start + interval_ns <= watermark[i]:
        return NONE
    # The ring is as deep as there can be windows of a symbol open at once, so no two of them share
    # a cell: a lookup is one division, and nothing is hashed or searched.
    cell = (start // interval_ns) % ring.shape[1]
    w = ring[slot[i], cell]
    if w == NONE:
        w = tally[OPEN]
        tally[OPEN] += 1
        ring[slot[i], cell] = w
        win_slot[w] = slot[i]
        win_partition[w] = partition[i]
        whole[w, 0] = start
        whole[w, 1] = ts_ns[i]
        whole[w, 2] = ts_ns[i]
        whole[w, 3] = 0
        next_end[partition[i]] = min(next_end[partition[i]], start + interval_ns)
    return w


@kernel(
    f"void(i8, {ROWS}, f8[::1], f8[::1], b1[::1], {WINDOWS}, {OUT}, b1[::1])",
)
def aggregate(interval_ns, rows, price, size, chosen, windows, out, placed):
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
            _close(i, interval_ns, rows, windows, out)
        if not chosen[i]:
            continue
        w = _window(i, interval_ns, rows, windows)
        if w == NONE:
            continue
        placed[i] = True
        if whole[w, 3] == 0:
            real[w, 0:4] = price[i]
            real[w, 4:6] = 0.0
        # Ties at the first time keep the earlier row, ties at the last time take the later one.
        if ts_ns[i] < whole[w, 1]:
            whole[w, 1] = ts_ns[i]
            real[w, 0] = price[i]
        if ts_ns[i] >= whole[w, 2]:
            whole[w, 2] = ts_ns[i]
            real[w, 3] = price[i]
        whole[w, 3] += 1
        real[w, 1] = max(real[w, 1], price[i])
        real[w, 2] = min(real[w, 2], price[i])
        real[w, 4] += size[i]
        real[w, 5] += price[i] * size[i]


@kernel(f"void(i8, {ROWS}, f8[:, ::1], b1[::1], {WINDOWS}, {OUT}, b1[::1])")
def sample(interval_ns, rows, values, chosen, windows, out, placed):
    """Keep the last of ``values`` float64[n, 4] of each window; rows come in order of event time.

    As `aggregate`; the values are columns 0 to 3 of ``real``, and the others 0.
    """
    partition, _, watermark, ts_ns = rows
    _, _, whole, real, _, next_end, tally = windows
    tally[CLOSED] = 0
    for i in range(len(ts_ns)):
        if watermark[i] >= next_end[partition[i]]:
            _close(i, interval_ns, rows, windows, out)
        if not chosen[i]:
            continue
        w = _window(i, interval_ns, rows, windows)
        if w == NONE:
            continue
        placed[i] = True
        if whole[w, 3] == 0:
            real[w, :] = 0.0
        whole[w, 2] = ts_ns[i]
        for k in range(4):
            real[w, k] = values[i, k]
        whole[w, 3] += 1
