"""Windows in event time, closed by the watermark."""

from __future__ import annotations

from numba import njit

NEVER = 9_223_372_036_854_775_807


@njit(
    "i8(i8, i8, i8, i8[::1], i4[::1], i4[::1], i8[:, ::1], f8[:, ::1], i4[:, ::1], i8, i8[::1], "
    "i8[:, ::1], f8[:, ::1], i8)",
    cache=True,
    nogil=True,
)
def _close(
    row, partition, interval_ns, watermark, win_slot, win_part, win_int, win_num, ring, count,
    next_end, out_int, out_num, emitted,
):  # fmt: skip
    """Emit and drop the windows of ``partition`` that end at or before its watermark at ``row``.

    Returns the number of windows left, in the low half, and emitted, in the high half.
    """
    now = watermark[row]
    soonest = NEVER
    depth = ring.shape[1]
    w = 0
    while w < count:
        if win_part[w] != partition:
            w += 1
            continue
        start = win_int[w, 0]
        end = start + interval_ns
        if end > now:
            soonest = min(soonest, end)
            w += 1
            continue
        out_int[emitted, 0] = row
        out_int[emitted, 1] = partition
        out_int[emitted, 2] = win_slot[w]
        out_int[emitted, 3] = start
        out_int[emitted, 4] = win_int[w, 3]
        out_num[emitted, :] = win_num[w, :]
        emitted += 1
        ring[win_slot[w], (start // interval_ns) % depth] = -1
        count -= 1
        if w < count:  # the last window takes this place; order does not matter here
            win_slot[w] = win_slot[count]
            win_part[w] = win_part[count]
            win_int[w, :] = win_int[count, :]
            win_num[w, :] = win_num[count, :]
            ring[win_slot[w], (win_int[w, 0] // interval_ns) % depth] = w
    next_end[partition] = soonest
    return (emitted << 32) | count


@njit(
    "i8(i8, i4[::1], i4[::1], i8[::1], i8[::1], f8[::1], f8[::1], b1[::1], "
    "i4[::1], i4[::1], i8[:, ::1], f8[:, ::1], i4[:, ::1], i8, i8[::1], i8[:, ::1], f8[:, ::1], "
    "b1[::1])",
    cache=True,
    nogil=True,
)
def aggregate(
    interval_ns, partition, slot, watermark, ts_ns, price, size, counts,
    win_slot, win_part, win_int, win_num, ring, count, next_end, out_int, out_num, placed,
):  # fmt: skip
    """Run the trades of a block into the open windows of one interval, closing as time passes.

    Open windows are ``count`` rows of ``win_slot``, ``win_part`` int32, ``win_int`` int64[., 4]
    (start, first and last event time, trades) and ``win_num`` float64[., 6] (open, high, low,
    close, volume, notional); ``ring`` int32[slots, depth] finds them. A row closes what its
    watermark has passed *before* it is applied. Closed windows go to ``out_int`` (row,
    partition, slot, start, trades) and ``out_num``. ``placed`` bool[n] is set where a counted
    trade found its window open or new. Returns the counts packed as `_close` does.
    """
    emitted = 0
    depth = ring.shape[1]
    for i in range(len(ts_ns)):
        p = partition[i]
        if watermark[i] >= next_end[p]:
            both = _close(
                i, p, interval_ns, watermark, win_slot, win_part, win_int, win_num, ring, count,
                next_end, out_int, out_num, emitted,
            )  # fmt: skip
            emitted = both >> 32
            count = both & 0xFFFFFFFF
        if not counts[i]:
            continue
        t = ts_ns[i]
        start = t - t % interval_ns
        if start + interval_ns <= watermark[i]:
            continue
        s = slot[i]
        cell = (start // interval_ns) % depth
        w = ring[s, cell]
        placed[i] = True
        if w < 0:
            w = count
            count += 1
            ring[s, cell] = w
            win_slot[w] = s
            win_part[w] = p
            win_int[w, 0] = start
            win_int[w, 1] = t
            win_int[w, 2] = t
            win_int[w, 3] = 1
            win_num[w, 0:4] = price[i]
            win_num[w, 4] = size[i]
            win_num[w, 5] = price[i] * size[i]
            next_end[p] = min(next_end[p], start + interval_ns)
            continue
        if t < win_int[w, 1]:
            win_int[w, 1] = t
            win_num[w, 0] = price[i]
        if t >= win_int[w, 2]:
            win_int[w, 2] = t
            win_num[w, 3] = price[i]
        win_int[w, 3] += 1
        win_num[w, 1] = max(win_num[w, 1], price[i])
        win_num[w, 2] = min(win_num[w, 2], price[i])
        win_num[w, 4] += size[i]
        win_num[w, 5] += price[i] * size[i]
    return (emitted << 32) | count


@njit(
    "i8(i8, i4[::1], i4[::1], i8[::1], i8[::1], f8[:, ::1], b1[::1], "
    "i4[::1], i4[::1], i8[:, ::1], f8[:, ::1], i4[:, ::1], i8, i8[::1], i8[:, ::1], f8[:, ::1], "
    "b1[::1])",
    cache=True,
    nogil=True,
)
def sample(
    interval_ns, partition, slot, watermark, ts_ns, values, chosen,
    win_slot, win_part, win_int, win_num, ring, count, next_end, out_int, out_num, placed,
):  # fmt: skip
    """Keep the last of ``values`` float64[n, 4] by (event time, row) of each window.

    State, outputs and result are those of `aggregate`; the values are columns 0 to 3.
    """
    emitted = 0
    depth = ring.shape[1]
    for i in range(len(ts_ns)):
        p = partition[i]
        if watermark[i] >= next_end[p]:
            both = _close(
                i, p, interval_ns, watermark, win_slot, win_part, win_int, win_num, ring, count,
                next_end, out_int, out_num, emitted,
            )  # fmt: skip
            emitted = both >> 32
            count = both & 0xFFFFFFFF
        if not chosen[i]:
            continue
        t = ts_ns[i]
        start = t - t % interval_ns
        if start + interval_ns <= watermark[i]:
            continue
        s = slot[i]
        cell = (start // interval_ns) % depth
        w = ring[s, cell]
        placed[i] = True
        if w < 0:
            w = count
            count += 1
            ring[s, cell] = w
            win_slot[w] = s
            win_part[w] = p
            win_int[w, 0] = start
            win_int[w, 1] = t
            win_int[w, 2] = t
            win_int[w, 3] = 0
            win_num[w, :] = 0.0
            next_end[p] = min(next_end[p], start + interval_ns)
        if t >= win_int[w, 2]:
            win_int[w, 2] = t
            win_num[w, 0:4] = values[i, :]
        win_int[w, 3] += 1
    return (emitted << 32) | count
